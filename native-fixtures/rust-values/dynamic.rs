use crate::plain::Point;
use crate::{keep, tell, Report};
use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub trait Area: Debug {
    fn area(&self) -> f64;
}
#[derive(Debug)]
pub struct Circle {
    pub radius: f64,
}
#[derive(Debug)]
pub struct Square(pub u32, pub String);
#[derive(Debug)]
pub struct Empty;
impl Area for Circle {
    fn area(&self) -> f64 {
        self.radius * self.radius * 3.0
    }
}
impl Area for Square {
    fn area(&self) -> f64 {
        f64::from(self.0 * self.0)
    }
}
impl Area for Empty {
    fn area(&self) -> f64 {
        0.0
    }
}
impl<T: Debug> Area for Vec<T> {
    fn area(&self) -> f64 {
        self.len() as f64
    }
}

/// Is pending once.
pub struct Later {
    left: u32,
}
impl Future for Later {
    type Output = u32;
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(5);
        }
        self.left -= 1;
        Poll::Pending
    }
}

async fn two_steps(start: u32) -> u32 {
    let name = String::from("step");
    let first = Later { left: 1 }.await;
    let second = inner(first).await;
    start + second + name.len() as u32
}

async fn inner(seed: u32) -> u32 {
    let doubled = seed * 2;
    Later { left: 1 }.await + doubled
}

/// What it was given goes away one after another.
async fn spending(text: String, number: u32, bytes: Vec<u8>) -> u32 {
    let first = Later { left: 1 }.await;
    let second = spent(text).await;
    drop(bytes);
    let third = Later { left: 1 }.await;
    first + second + third + number
}

async fn spent(text: String) -> u32 {
    Later { left: 1 }.await + text.len() as u32
}

fn polled<F: Future + ?Sized>(mut future: Pin<Box<F>>, times: u32) -> Pin<Box<F>> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        let _ = future.as_mut().poll(&mut context);
    }
    future
}

#[inline(never)]
pub fn dynamic(report: &mut Report) {
    let boxed_circle: Box<dyn Area> = Box::new(Circle { radius: 2.0 });
    let boxed_square: Box<dyn Area> = Box::new(Square(3, "side".to_string()));
    let boxed_empty: Box<dyn Area> = Box::new(Empty);
    let boxed_generic: Box<dyn Area> = Box::new(vec![1u8, 2]);
    let circle = Circle { radius: 1.5 };
    let reference: &dyn Area = &circle;
    let shared: Rc<dyn Area> = Rc::new(Circle { radius: 4.0 });
    let shared_atomic: Arc<dyn Area> = Arc::new(Square(5, "arc".to_string()));
    let shared_number: Arc<dyn Debug> = Arc::new(u128::MAX);
    let several: Vec<Box<dyn Area>> = vec![Box::new(Circle { radius: 1.0 }), Box::new(Square(1, "s".into()))];
    let error: Box<dyn Error> = "went wrong".into();
    let sent: Box<dyn Error + Send + Sync> = Box::new(std::fmt::Error);
    let any: Box<dyn Any> = Box::new(77u32);
    let debug: &dyn Debug = &Point { x: 1, y: 2 };
    let optional: Option<Box<dyn Area>> = Some(Box::new(Circle { radius: 9.0 }));

    let captured = 5i32;
    let text = String::from("captured");
    let by_reference = || captured + text.len() as i32;
    let owned = String::from("owned");
    let by_move = move |x: usize| x + owned.len();
    let no_capture = |x: i32| x + 1;
    let mut count = 0u8;
    let mut counter = || {
        count += 1;
        count
    };
    counter();
    let boxed_closure: Box<dyn Fn(i32) -> i32> = Box::new(move |x| x * captured);

    let unresumed = polled(Box::pin(two_steps(1)), 0);
    let first_await = polled(Box::pin(two_steps(2)), 1);
    let second_await = polled(Box::pin(two_steps(3)), 2);
    let returned = polled(Box::pin(two_steps(4)), 3);
    let spending_all = polled(Box::pin(spending("given".to_string(), 7, vec![1, 2])), 1);
    let spent_text = polled(Box::pin(spending("given".to_string(), 7, vec![1, 2])), 2);
    let spent_most = polled(Box::pin(spending("given".to_string(), 7, vec![1, 2])), 3);
    let block = polled(Box::pin(async move { captured as u32 + Later { left: 1 }.await }), 1);
    let dynamic_future: Pin<Box<dyn Future<Output = u32>>> = polled(Box::pin(inner(6)), 1);
    tell!(
        report, boxed_circle, boxed_square, boxed_empty, boxed_generic, reference, shared, shared_atomic, shared_number, several, error,
        sent, debug, optional,
    );
    keep!(
        any, by_reference, by_move, no_capture, counter, boxed_closure, unresumed, first_await, second_await, returned,
        spending_all, spent_text, spent_most, block, dynamic_future,
    );
    std::hint::black_box(boxed_circle.area() + by_reference() as f64 + by_move(1) as f64 + boxed_closure(1) as f64);
    crate::stop(report);
    keep!(
        boxed_circle, boxed_square, boxed_empty, boxed_generic, circle, reference, shared, shared_atomic, shared_number, several,
        error, sent, any, debug, optional, by_reference, by_move, no_capture, boxed_closure, unresumed, first_await, second_await, returned,
        spending_all, spent_text, spent_most, block, dynamic_future,
    );
    counter();
    no_capture(1);
}
