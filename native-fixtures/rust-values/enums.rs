use crate::{keep, tell, Report};
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::task::Poll;

#[derive(Debug)]
pub enum Shape {
    Dot,
    Circle { radius: f64 },
    Rect(u32, u32),
    Named(String, Option<Box<Shape>>),
}
#[derive(Debug, Clone, Copy)]
#[repr(i8)]
pub enum Level {
    Low = -5,
    Middle = 0,
    High = 100,
}
#[derive(Debug)]
pub enum Single {
    Only(u32),
}
#[derive(Debug)]
pub enum One {
    Alone,
}
#[derive(Debug)]
#[allow(dead_code)]
pub enum Never {}
#[derive(Debug)]
#[repr(C, u16)]
pub enum Tagged {
    First(u64) = 3,
    Second { a: u8, b: u8 } = 0xfff0,
    Third = 70,
}
#[derive(Debug)]
pub enum Wide {
    A(u128),
    B,
}
#[derive(Debug)]
#[repr(u64)]
pub enum Far {
    Top(u8) = u64::MAX,
    Low(u8) = 1,
}
#[derive(Debug)]
#[repr(i64)]
#[allow(dead_code)]
pub enum Signed {
    Below(u8) = -9,
    Above(u8) = 9,
}
/// A niche in a bool, one in a char, and one inside of an enum's own.
#[derive(Debug)]
pub enum Nested {
    Inner(Option<bool>),
    Other,
    Third,
}
#[derive(Debug)]
#[allow(dead_code)]
pub enum Characters {
    Letter(char),
    End,
    Error,
}

#[inline(never)]
pub fn enums(report: &mut Report) {
    let some = Some(3i32);
    let none: Option<i32> = None;
    let some_text = Some("text");
    let no_text: Option<&str> = None;
    let some_string = Some(String::from("owned"));
    let no_string: Option<String> = None;
    let some_box = Some(Box::new(5u16));
    let no_box: Option<Box<u16>> = None;
    let some_bool = Some(false);
    let no_bool: Option<bool> = None;
    let some_some = Some(Some(true));
    let some_none: Option<Option<bool>> = Some(None);
    let none_none: Option<Option<bool>> = None;
    let some_char = Some('x');
    let no_char: Option<char> = None;
    let some_unit = Some(());
    let some_non_zero = NonZeroU32::new(5);
    let no_non_zero = NonZeroU32::new(0);
    let some_vec = Some(vec![1u8, 2]);
    let no_vec: Option<Vec<u8>> = None;
    let some_big = Some(1u128 << 100);
    let no_big: Option<u128> = None;
    let some_float = Some(2.5f64);
    let some_function: Option<fn(&mut Report)> = Some(enums);
    let no_function: Option<fn(&mut Report)> = None;
    let some_pair = Some((1u8, 2u8));
    let ok: Result<u32, String> = Ok(7);
    let error: Result<u32, String> = Err("bad".to_string());
    let ok_unit: Result<(), std::num::ParseIntError> = Ok(());
    let error_unit: Result<i32, std::num::ParseIntError> = "x".parse::<i32>();
    let nested_result: Result<Option<i64>, u8> = Ok(Some(-4));
    let dot = Shape::Dot;
    let circle = Shape::Circle { radius: 2.0 };
    let rect = Shape::Rect(2, 3);
    let named = Shape::Named("box".to_string(), Some(Box::new(Shape::Circle { radius: 0.5 })));
    let named_alone = Shape::Named("alone".to_string(), None);
    let low = Level::Low;
    let middle = Level::Middle;
    let high = Level::High;
    let levels = [Level::Low, Level::High];
    let single = Single::Only(12);
    let one = One::Alone;
    let first = Tagged::First(9);
    let second = Tagged::Second { a: 1, b: 2 };
    let third = Tagged::Third;
    let wide = Wide::A(u128::MAX);
    let narrow = Wide::B;
    let top = Far::Top(1);
    let lowest = Far::Low(2);
    let below = Signed::Below(3);
    let nested_true = Nested::Inner(Some(true));
    let nested_none = Nested::Inner(None);
    let nested_other = Nested::Other;
    let nested_third = Nested::Third;
    let largest = Characters::Letter('\u{10FFFF}');
    let end = Characters::End;
    let no_error = Characters::Error;
    let borrowed: Cow<str> = Cow::Borrowed("borrowed");
    let owned: Cow<str> = Cow::Owned("was owned".to_string());
    let ready: Poll<i32> = Poll::Ready(4);
    let pending: Poll<i32> = Poll::Pending;
    let stay: ControlFlow<u8, u8> = ControlFlow::Continue(1);
    let reference = &some;
    let never: Option<Never> = None;
    let infallible: Result<u16, std::convert::Infallible> = Ok(8);
    let shapes = [Shape::Rect(1, 1), Shape::Dot];
    let optional_level = Some(Level::High);
    let no_level: Option<Level> = None;
    let ordering = Some(std::cmp::Ordering::Equal);
    let io_error: std::io::Result<u8> = Err(std::io::Error::from_raw_os_error(2));
    tell!(
        report, some, none, some_text, no_text, some_string, no_string, some_box, no_box, some_bool, no_bool, some_some,
        some_none, none_none, some_char, no_char, some_unit, some_non_zero, no_non_zero, some_vec, no_vec, some_big, no_big,
        some_float, some_pair, ok, error, ok_unit, error_unit, nested_result, dot, circle, rect, named, named_alone, low,
        middle, high, levels, single, one, first, second, third, wide, narrow, top, lowest, below, nested_true, nested_none,
        nested_other, nested_third, largest, end, no_error, borrowed, owned, ready, pending, stay, reference, never, infallible,
        shapes, optional_level, no_level, ordering, io_error,
    );
    keep!(some_function, no_function);
    crate::text::text(report);
    keep!(
        some, none, some_text, no_text, some_string, no_string, some_box, no_box, some_bool, no_bool, some_some, some_none,
        none_none, some_char, no_char, some_unit, some_non_zero, no_non_zero, some_vec, no_vec, some_big, no_big, some_float,
        some_function, no_function, some_pair, ok, error, ok_unit, error_unit, nested_result, dot, circle, rect, named,
        named_alone, low, middle, high, levels, single, one, first, second, third, wide, narrow, top, lowest, below,
        nested_true, nested_none, nested_other, nested_third, largest, end, no_error, borrowed, owned, ready, pending, stay,
        reference, never, infallible, shapes, optional_level, no_level, ordering, io_error,
    );
}
