use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::rng::Rng;

#[test]
fn it_is_the_map_of_the_standard_library() {
    let mut rng = Rng::new(7);
    let mut tree = Tree::<_, _>::default();
    let mut map = BTreeMap::new();
    for round in 0..20_000_u64 {
        let key = rng.next() % 1500;
        // It grows, shrinks to nothing, and grows again.
        let removes = if (round / 5000) % 2 == 0 { 3 } else { 9 };
        if rng.next() % 10 < removes {
            assert_eq!(tree.remove(&key), map.remove(&key));
        } else {
            assert_eq!(tree.insert(key, round), map.insert(key, round));
        }
        if round % 97 == 0 {
            assert!(tree.iter().eq(map.iter()));
            assert_eq!(tree.len(), map.len());
            let from = rng.next() % 1500;
            assert!(tree.from(Bound::Included(&from)).eq(map.range(from..)));
            let after = (Bound::Excluded(from), Bound::Unbounded);
            assert!(tree.from(Bound::Excluded(&from)).eq(map.range(after)));
            assert_eq!(tree.rank(&from), map.range(..from).count());
            assert_eq!(tree.get(&from), map.get(&from));
            assert_eq!(tree.get_mut(&from), map.get_mut(&from));
            assert_eq!(tree.last_up_to(&from), map.range(..=from).next_back());
        }
    }
}

#[test]
fn entries_that_come_in_order_fill_their_nodes() {
    let mut tree = Tree::<_, _>::default();
    for key in 0..CAPACITY * CAPACITY {
        tree.insert(key, key);
    }
    let Some(Node::Branch(leaves)) = tree.root.as_deref() else {
        panic!("two levels suffice");
    };
    assert!(leaves.list.iter().all(|leaf| leaf.len == CAPACITY));
}

#[test]
fn a_clone_does_not_change_with_its_original() {
    let mut tree = Tree::<_, _>::default();
    for key in 0..1000 {
        tree.insert(key, key);
    }
    let copy = tree.clone();
    for key in 0..1000 {
        tree.remove(&key);
    }
    assert_eq!((tree.len(), copy.len()), (0, 1000));
    assert!(copy.iter().map(|(&key, _)| key).eq(0..1000));
}

/// Keys with much, little and nothing in common, and such that differ only in zeros at their end.
fn key(rng: &mut Rng) -> Bytes {
    let starts = ["", "/a", "/registry/pods/default/", "/registry/pods/other/"];
    let start = starts[rng.next() as usize % starts.len()];
    let number = rng.next() % 300;
    let zeros = rng.next() as usize % 3;
    let number = if number < 10 {
        String::new()
    } else {
        number.to_string()
    };
    Bytes::from([start.as_bytes(), number.as_bytes(), &[0; 2][..zeros]].concat())
}

#[test]
fn heads_find_the_keys_that_are_there_and_no_others() {
    let mut rng = Rng::new(11);
    let mut tree = Tree::<Bytes, u64, Heads>::default();
    let mut map = BTreeMap::new();
    for round in 0..30_000_u64 {
        let (one, other) = (key(&mut rng), key(&mut rng));
        let removes = if (round / 5000) % 2 == 0 { 3 } else { 8 };
        if rng.next() % 10 < removes {
            assert_eq!(tree.remove(&one), map.remove(&one));
        } else {
            assert_eq!(tree.insert(one.clone(), round), map.insert(one, round));
        }
        assert_eq!(tree.get(&other), map.get(&other), "{other:?}");
        assert_eq!(tree.get_mut(&other), map.get_mut(&other));
        if round % 97 == 0 {
            assert!(tree.iter().eq(map.iter()));
            assert!(map.keys().all(|key| tree.get(&key[..]) == map.get(key)));
            assert_eq!(tree.rank(&other), map.range(..other.clone()).count());
        }
    }
}
