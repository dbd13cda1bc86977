use crate::{keep, tell, Report};
use std::cmp::Ordering;
use std::num::{NonZeroI8, NonZeroU32};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub x: i32,
    pub y: i32,
}
#[derive(Debug)]
pub struct Meters(pub f64);
#[derive(Debug)]
pub struct Unit;
#[derive(Debug)]
pub struct Generic<T, const N: usize> {
    pub items: [T; N],
    pub flag: bool,
}
#[derive(Clone, Copy)]
pub union Bits {
    pub float: f32,
    pub word: u32,
}

#[inline(never)]
pub fn plain(report: &mut Report) {
    let truth = true;
    let letter = 'a';
    let emoji = '\u{1F980}';
    let byte = 200u8;
    let tiny = -100i8;
    let short = -30000i16;
    let word = 4000000000u32;
    let long = i64::MIN;
    let size = usize::MAX;
    let huge = u128::MAX - 1;
    let negative_huge = i128::MIN + 5;
    let single = 1.5f32;
    let double = -0.1f64;
    let nothing = ();
    let pair = (1u8, "two");
    let triple = (1i64, 2.5f32, ('c', false));
    let point = Point { x: -1, y: 2 };
    let meters = Meters(3.25);
    let unit = Unit;
    let generic = Generic::<u16, 3> { items: [7, 8, 9], flag: true };
    let bits = Bits { word: 0x3fc00000 };
    let array = [10i32, 20, 30, 40];
    let empty_array: [i32; 0] = [];
    let grid = [[1u8, 2, 3], [4, 5, 6]];
    let points = [Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
    let reference = &point;
    let mut other = Point { x: 5, y: 6 };
    let mutable = &mut other;
    let raw = &raw const array[1];
    let reference_of_reference = &reference;
    let function: fn(i32) -> i32 = double_of;
    let ordering = Ordering::Less;
    let greater = Ordering::Greater;
    let duration = Duration::new(3, 250_000_000);
    let non_zero = NonZeroU32::new(77).unwrap();
    let non_zero_small = NonZeroI8::new(-7).unwrap();
    let range = 3..17u16;
    let inclusive = 3..=17i64;
    let from = 9u8..;
    let to = ..4u8;
    let wrapping = std::num::Wrapping(250u8);
    let reverse = std::cmp::Reverse(3i32);
    let phantom = std::marker::PhantomData::<String>;
    tell!(
        report, truth, letter, emoji, byte, tiny, short, word, long, size, huge, negative_huge, single, double, nothing, pair,
        triple, point, meters, unit, generic, array, empty_array, grid, points, reference, mutable, reference_of_reference,
        ordering, greater, duration, non_zero, non_zero_small, range, inclusive, from, to, wrapping, reverse, phantom,
    );
    keep!(bits, raw, function);
    crate::enums::enums(report);
    keep!(
        truth, letter, emoji, byte, tiny, short, word, long, size, huge, negative_huge, single, double, nothing, pair, triple,
        point, meters, unit, generic, bits, array, empty_array, grid, points, reference, mutable, raw, reference_of_reference,
        function, ordering, greater, duration, non_zero, non_zero_small, range, inclusive, from, to, wrapping, reverse, phantom,
    );
}

#[inline(never)]
fn double_of(x: i32) -> i32 {
    x * 2
}
