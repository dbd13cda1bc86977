use crate::plain::Point;
use crate::{keep, tell, Report};
use std::cell::{Cell, LazyCell, OnceCell, RefCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

#[derive(Debug)]
pub struct Node {
    pub id: u32,
    pub next: Option<Rc<RefCell<Node>>>,
}

#[inline(never)]
pub fn owners(report: &mut Report) {
    let boxed = Box::new(Point { x: 1, y: 2 });
    let boxed_number = Box::new(42i64);
    let boxed_box = Box::new(Box::new(1u8));
    let boxed_unit = Box::new(());
    let rc = Rc::new(Point { x: 3, y: 4 });
    let rc_clone = Rc::clone(&rc);
    let weak = Rc::downgrade(&rc);
    let dangling: Weak<Point> = Weak::new();
    let dead = Rc::downgrade(&Rc::new(9i32));
    let arc = Arc::new(String::from("in an arc"));
    let arc_weak = Arc::downgrade(&arc);
    let arc_mutex = Arc::new(Mutex::new(vec![1u32, 2, 3]));
    let cell = Cell::new(7i16);
    let ref_cell = RefCell::new(String::from("free"));
    let borrowed_cell = RefCell::new(5u8);
    let first = borrowed_cell.borrow();
    let second = borrowed_cell.borrow();
    let written_cell = RefCell::new(6u8);
    let writer = written_cell.borrow_mut();
    let mutex = Mutex::new(Point { x: 8, y: 9 });
    let locked = Mutex::new(11u64);
    let guard = locked.lock().unwrap();
    let poisoned = Arc::new(Mutex::new(12u8));
    let victim = Arc::clone(&poisoned);
    std::panic::set_hook(Box::new(|_| {}));
    let _ = std::thread::spawn(move || {
        let _guard = victim.lock().unwrap();
        panic!("poison");
    })
    .join();
    let rw_lock = RwLock::new(13u16);
    let read_lock = RwLock::new(14u16);
    let reader = read_lock.read().unwrap();
    let once: OnceCell<u32> = OnceCell::new();
    let once_set: OnceCell<u32> = OnceCell::from(15);
    let once_lock: OnceLock<String> = OnceLock::new();
    let once_lock_set: OnceLock<String> = OnceLock::from(String::from("set"));
    let pinned = Box::pin(16u32);
    let mut pinnable = 17u8;
    let pinned_reference = Pin::new(&mut pinnable);
    let manual = ManuallyDrop::new(18u8);
    let uninitialised = MaybeUninit::<u32>::new(19);
    let atomic_bool = AtomicBool::new(true);
    let atomic = AtomicI32::new(-20);
    let atomic_big = AtomicU64::new(u64::MAX);
    let atomic_pointer = AtomicPtr::new(std::ptr::null_mut::<u8>());
    atomic.store(-21, Ordering::SeqCst);
    let lazy: LazyCell<u32> = LazyCell::new(|| 22);
    let list = Rc::new(RefCell::new(Node { id: 2, next: None }));
    let head = Node { id: 1, next: Some(Rc::clone(&list)) };
    list.borrow_mut().next = Some(Rc::clone(&list));
    tell!(
        report, boxed, boxed_number, boxed_box, boxed_unit, rc, rc_clone, weak, dangling, dead, arc, arc_weak, arc_mutex, cell,
        ref_cell, borrowed_cell, first, second, written_cell, writer, mutex, locked, guard, poisoned, rw_lock, read_lock,
        reader, once, once_set, once_lock, once_lock_set, pinned, pinned_reference, manual, atomic_bool, atomic, atomic_big,
        atomic_pointer,
    );
    keep!(uninitialised, lazy, list, head);
    crate::collections::collections(report);
    keep!(
        boxed, boxed_number, boxed_box, boxed_unit, rc, rc_clone, weak, dangling, dead, arc, arc_weak, arc_mutex, cell,
        ref_cell, borrowed_cell, first, second, written_cell, writer, mutex, locked, guard, poisoned, rw_lock, read_lock,
        reader, once, once_set, once_lock, once_lock_set, pinned, pinned_reference, manual, uninitialised, atomic_bool, atomic,
        atomic_big, atomic_pointer, lazy, list, head,
    );
}
