// What casts, paths and comparisons of alternatives are asked of: it ends itself where all of it is alive.
#![allow(dead_code, unused)]
use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
mod module {
    #[inline(never)]
    pub fn f(x: i32) -> i32 {
        x + 1
    }
    pub static LIMIT: u32 = 12;
    pub mod inner {
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum State {
            Idle,
            Busy,
            Done,
        }
        pub enum Cmd {
            Stop,
            Go(i32),
            Move { x: i32, y: i32 },
        }
    }
}
use module::inner::{Cmd, State};
trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> String {
        "shape".into()
    }
}
struct Circle {
    radius: f64,
}
struct Square {
    side: f64,
}
impl Shape for Circle {
    #[inline(never)]
    fn area(&self) -> f64 {
        self.radius * 3.0
    }
}
impl Shape for Square {
    #[inline(never)]
    fn area(&self) -> f64 {
        self.side * self.side
    }
}
impl Circle {
    #[inline(never)]
    fn grow(&mut self, by: f64) {
        self.radius += by;
    }
}
struct Node {
    id: u32,
    next: Option<Box<Node>>,
    tags: Vec<String>,
}
struct Wrapper<T> {
    inner: T,
    t: (i32, (u8, &'static str)),
}
#[inline(never)]
fn stop() {
    std::process::abort();
}
fn main() {
    let v: Vec<i32> = vec![1, 2, 3, 4];
    let t = (1i32, (2u8, "two"), [7u16, 8, 9]);
    let w = Wrapper {
        inner: Circle { radius: 2.5 },
        t: (5, (6, "six")),
    };
    let state = State::Done;
    let cmd = Cmd::Move { x: 3, y: 4 };
    let cmd2 = Cmd::Go(5);
    let stopc = Cmd::Stop;
    let some: Option<i32> = Some(3);
    let none: Option<i32> = None;
    let res: Result<i32, String> = Err("bad".to_string());
    let node = Node {
        id: 1,
        next: Some(Box::new(Node {
            id: 2,
            next: None,
            tags: vec!["x".into()],
        })),
        tags: vec!["a".into(), "b".into()],
    };
    let boxed = Box::new(Circle { radius: 1.25 });
    let rc = Rc::new(RefCell::new(Node {
        id: 9,
        next: None,
        tags: vec![],
    }));
    let rc2 = rc.clone();
    let borrowed: Ref<Node> = rc.borrow();
    let shapes: Vec<Box<dyn Shape>> = vec![
        Box::new(Circle { radius: 1.0 }),
        Box::new(Square { side: 2.0 }),
    ];
    let dynref: &dyn Shape = &w.inner;
    let n: i64 = -5;
    let u: u8 = 200;
    let f: f64 = 2.75;
    let c = 'é';
    let b = true;
    let slice: &[i32] = &v[1..3];
    let s: &str = "hello";
    let string = String::from("héllo");
    let r: &i32 = &v[2];
    let rr: &&i32 = &r;
    let p: *const i32 = &v[1];
    let arr = [[1, 2], [3, 4]];
    let mut map = HashMap::new();
    map.insert("k".to_string(), 5u64);
    let cell = Cell::new(77);
    let rcbox: Rc<Box<Circle>> = Rc::new(Box::new(Circle { radius: 8.0 }));
    println!(
        "{} {} {}",
        module::f(1),
        module::LIMIT,
        w.inner.area() + Square { side: 1.0 }.area()
    );
    let mut g = Circle { radius: 0.5 };
    g.grow(1.0);
    println!("{:?} {}", &g as *const _, dynref.name());
    stop();
    println!(
        "{:?}{:?}{:?}{:?}{:?}{}{}{}{}{:?}{}{}{}{}{}{:?}{}{:?}{:?}{}",
        v,
        t,
        state,
        some,
        none,
        n,
        u,
        f,
        c,
        slice,
        s,
        string,
        r,
        rr,
        b,
        arr,
        cell.get(),
        map,
        res,
        node.id
    );
    drop((
        w,
        cmd,
        cmd2,
        stopc,
        boxed,
        rc2.borrow().id,
        borrowed.id,
        shapes,
        p,
        rcbox.radius,
    ));
}
