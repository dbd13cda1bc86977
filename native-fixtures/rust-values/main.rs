// Values of Rust's types, a family a function, each calling the next, so that one core has them all. Each variable's own `{:?}` goes to
// the file that is named first: what a debugger shows is compared with it.
#![allow(dead_code)]

mod collections;
mod dynamic;
mod enums;
mod owners;
mod plain;
mod text;

use std::fs::File;
use std::io::Write;

pub struct Report {
    file: File,
}

impl Report {
    pub fn line(&mut self, name: &str, text: String) {
        writeln!(self.file, "{name}\t{}", text.escape_default()).unwrap();
    }
}

/// Writes what a variable is, and keeps it in memory.
#[macro_export]
macro_rules! tell {
    ($report:expr, $($name:ident),+ $(,)?) => {
        $( $report.line(concat!(module_path!(), "::", stringify!($name)), format!("{:?}", $name)); std::hint::black_box(&$name); )+
    };
}

/// Keeps variables alive that were told of.
#[macro_export]
macro_rules! keep {
    ($($name:ident),+ $(,)?) => { $( std::hint::black_box(&$name); )+ };
}

#[inline(never)]
pub fn stop(report: &mut Report) {
    report.file.flush().unwrap();
    std::process::abort();
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: rust-values REPORT");
    let mut report = Report { file: File::create(path).unwrap() };
    plain::plain(&mut report);
}
