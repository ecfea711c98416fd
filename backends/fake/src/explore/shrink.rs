/// The shortest list that `fails`, in the order of the whole one, which does.
///
/// Of one or two items it is the shortest there is. Of a longer one, no item can be left out.
pub(super) fn shortest<T: Clone>(items: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    if items.is_empty() || fails(&[]) {
        return Vec::new();
    }
    if let Some(one) = items.iter().find(|one| fails(&[(*one).clone()])) {
        return vec![one.clone()];
    }
    for (position, one) in items.iter().enumerate() {
        for other in items.iter().skip(position + 1) {
            let pair = vec![one.clone(), other.clone()];
            // All of two items fail anyway.
            if items.len() == 2 || fails(&pair) {
                return pair;
            }
        }
    }
    let mut left = items.to_vec();
    let mut position = 0;
    while position < left.len() {
        let mut fewer = left.clone();
        fewer.remove(position);
        if fails(&fewer) {
            left = fewer;
        } else {
            position += 1;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let all: Vec<u32> = (0..9).collect();
        for needed in [&[][..], &[4], &[0, 8], &[1, 5, 6], &[0, 2, 3, 8]] {
            let fails = |list: &[u32]| needed.iter().all(|item| list.contains(item));
            assert_eq!(shortest(&all, fails), needed);
        }
    }

    /// Three together fail, and so does another one alone.
    #[test]
    fn the_shortest_of_several_is_found() {
        let fails = |list: &[u32]| list.contains(&7) || [0, 1, 2].iter().all(|i| list.contains(i));
        assert_eq!(shortest(&[0, 1, 2, 7], fails), [7]);
    }
}
