use crate::plain::Point;
use crate::{keep, tell, Report};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[inline(never)]
pub fn text(report: &mut Report) {
    let string = String::from("hello");
    let empty = String::new();
    let mut spare = String::with_capacity(100);
    spare.push_str("spare");
    let unicode = "h\u{e9}llo \u{1F980} \u{65e5}\u{672c}".to_string();
    let long = "abc".repeat(1000);
    let str_slice = "a literal";
    let empty_str = "";
    let part = &string[1..3];
    let boxed: Box<str> = "boxed".into();
    let shared: Arc<str> = "shared".into();
    let os = OsString::from("os string");
    let os_ref: &OsStr = os.as_os_str();
    let path_buf = PathBuf::from("/tmp/a b");
    let path: &Path = path_buf.as_path();
    let c_string = CString::new("nul ended").unwrap();
    let c_str: &CStr = c_string.as_c_str();
    let mut owner = String::from("mutable");
    let mutable: &mut str = owner.as_mut_str();
    let strings = vec!["one".to_string(), String::new(), "three".to_string()];
    let slice = &strings[..2];
    let numbers = [1i32, 2, 3, 4, 5];
    let middle: &[i32] = &numbers[1..4];
    let nothing: &[u64] = &[];
    let bytes: &[u8] = b"bytes\0\xff";
    let boxed_slice: Box<[u16]> = vec![7u16, 8].into_boxed_slice();
    let mut values = [1.5f64, 2.5];
    let mutable_slice: &mut [f64] = &mut values[..];
    let points: &[Point] = &[Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
    let units: &[()] = &[(), (), ()];
    let shared_slice: Arc<[u8]> = vec![1u8, 2, 3].into();
    tell!(
        report, string, empty, spare, unicode, long, str_slice, empty_str, part, boxed, shared, os, os_ref, path_buf, path,
        c_string, c_str, mutable, strings, slice, middle, nothing, bytes, boxed_slice, mutable_slice, points, units,
        shared_slice,
    );
    crate::owners::owners(report);
    keep!(
        string, empty, spare, unicode, long, str_slice, empty_str, part, boxed, shared, os, os_ref, path_buf, path, c_string,
        c_str, mutable, strings, slice, middle, nothing, bytes, boxed_slice, mutable_slice, points, units, shared_slice,
    );
}
