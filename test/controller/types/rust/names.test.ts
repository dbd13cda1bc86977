import { expect, test } from 'vitest';
import { lastPart, pointeeName, shortPath } from '../../../../controller/types/rust/names.js';

test.each([
  ['alloc::vec::Vec<i32, alloc::alloc::Global>', 'alloc::Vec'],
  ['std::sync::poison::mutex::Mutex<u64>', 'std::Mutex'],
  ['core::option::Option<alloc::string::String>', 'core::Option'],
  ['i32', undefined],
  ['&str', undefined],
])('short path of %s', (name, path) => {
  expect(shortPath(name)).toBe(path);
});

test.each([
  ['main::run::{async_fn_env#0}::Suspend0', 'Suspend0'],
  ['main::run<a::B<u8>>::{async_fn_env#0}<a::B<u8>>::Suspend0', 'Suspend0'],
  ['a::E<fn(u8) -> b::C, d::F>::Y', 'Y'],
  ['a::Generic<b::C>', 'Generic'],
  ['Alone<x::Y>', 'Alone'],
])('last part of %s', (name, part) => {
  expect(lastPart(name)).toBe(part);
});

test.each([
  ['&str', 'str'],
  ['&mut [u8]', '[u8]'],
  ['*const dyn a::Trait', 'dyn a::Trait'],
  ['alloc::boxed::Box<str, alloc::alloc::Global>', 'str, alloc::alloc::Global>'],
  ['mine::Box<str>', undefined],
])('pointee of %s', (name, pointee) => {
  expect(pointeeName(name)).toBe(pointee);
});
