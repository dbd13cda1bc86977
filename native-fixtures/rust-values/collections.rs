use crate::plain::Point;
use crate::{keep, tell, Report};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};

#[inline(never)]
pub fn collections(report: &mut Report) {
    let vec = vec![1i32, 2, 3];
    let empty_vec: Vec<i32> = Vec::new();
    let mut spare_vec: Vec<u8> = Vec::with_capacity(50);
    spare_vec.extend([9, 8, 7]);
    let mut cleared = vec![1u64, 2, 3];
    cleared.clear();
    let long_vec: Vec<u32> = (0..250).collect();
    let nested_vec = vec![vec![1u8], vec![], vec![2, 3]];
    let points = vec![Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
    let units = vec![(), (), ()];
    let options = vec![Some(1i32), None, Some(3)];
    let pairs = vec![("a", 1u8), ("b", 2)];
    let mut taken = vec![String::from("moved")];
    let moved = std::mem::take(&mut taken);

    let deque: VecDeque<i32> = (1..=4).collect();
    let empty_deque: VecDeque<i32> = VecDeque::new();
    let mut wrapped: VecDeque<u16> = VecDeque::with_capacity(8);
    for i in 0..8 {
        wrapped.push_back(i);
    }
    for i in 0..5 {
        wrapped.pop_front();
        wrapped.push_back(100 + i);
    }
    let mut front: VecDeque<String> = VecDeque::new();
    front.push_front("b".into());
    front.push_front("a".into());
    let unit_deque: VecDeque<()> = [(), ()].into();

    let map: HashMap<String, i32> = [("one".to_string(), 1), ("two".to_string(), 2), ("three".to_string(), 3)].into();
    let empty_map: HashMap<String, i32> = HashMap::new();
    let big_map: HashMap<u32, u64> = (0..300u32).map(|i| (i, u64::from(i) * 7)).collect();
    let mut holes: HashMap<u32, u8> = (0..60u32).map(|i| (i, i as u8)).collect();
    for i in 0..50 {
        holes.remove(&i);
    }
    let unit_map: HashMap<u8, ()> = [(1, ()), (2, ())].into();
    let full_map: HashMap<u8, u8> = (0..28u8).map(|i| (i, i)).collect();
    let other_hasher: HashMap<u8, &str, BuildHasherDefault<DefaultHasher>> = [(1, "x")].into_iter().collect();
    let nested_map: HashMap<&str, Vec<Option<u8>>> = [("k", vec![Some(1), None])].into();
    let wide_map: HashMap<u8, u128> = [(1, 1 << 100), (2, 5)].into();
    let set: HashSet<&str> = ["x", "y"].into();
    let empty_set: HashSet<u8> = HashSet::new();

    let tree: BTreeMap<i32, &str> = [(3, "c"), (1, "a"), (2, "b")].into();
    let empty_tree: BTreeMap<i32, &str> = BTreeMap::new();
    let big_tree: BTreeMap<u32, String> = (0..500u32).map(|i| (i, format!("v{i}"))).collect();
    let mut thinned: BTreeMap<u16, u16> = (0..200u16).map(|i| (i, i * 2)).collect();
    thinned.retain(|key, _| key % 7 == 0);
    let mut emptied: BTreeMap<u8, u8> = [(1, 1)].into();
    emptied.clear();
    let tree_set: BTreeSet<char> = ['z', 'a', 'm'].into();
    let big_tree_set: BTreeSet<u64> = (0..100).map(|i| i * 3).collect();
    let nested_tree: BTreeMap<String, BTreeMap<u8, Vec<u8>>> = [("in".to_string(), [(1u8, vec![2u8])].into())].into();
    let full_leaf: BTreeMap<u8, u8> = (0..11).map(|i| (i, i)).collect();

    let heap: BinaryHeap<i32> = [5, 1, 8, 3].into();
    let list: LinkedList<u8> = [1, 2, 3].into();
    let empty_list: LinkedList<u8> = LinkedList::new();
    let string_list: LinkedList<String> = ["a".to_string(), "b".to_string()].into();
    let borrowed_map = &map;
    let borrowed_vec = &vec;
    let borrowed_array = &[10i32, 20, 30, 40];
    keep!(borrowed_map, borrowed_vec, borrowed_array);
    tell!(
        report, vec, empty_vec, spare_vec, cleared, long_vec, nested_vec, points, units, options, pairs, taken, moved, deque,
        empty_deque, wrapped, front, unit_deque, map, empty_map, big_map, holes, unit_map, full_map, other_hasher, nested_map,
        wide_map, set, empty_set, tree, empty_tree, big_tree, thinned, emptied, tree_set, big_tree_set, nested_tree, full_leaf,
        heap, list, empty_list, string_list,
    );
    crate::dynamic::dynamic(report);
    keep!(
        vec, empty_vec, spare_vec, cleared, long_vec, nested_vec, points, units, options, pairs, taken, moved, deque,
        empty_deque, wrapped, front, unit_deque, map, empty_map, big_map, holes, unit_map, full_map, other_hasher, nested_map,
        wide_map, set, empty_set, tree, empty_tree, big_tree, thinned, emptied, tree_set, big_tree_set, nested_tree, full_leaf,
        heap, list, empty_list, string_list,
    );
}
