//! A map that forgets the oldest, for what may be forgotten.

use std::collections::{HashMap, VecDeque};

/// At most so many values, by keys.
pub struct Newest<T> {
    most: usize,
    values: HashMap<String, (u64, T)>,
    /// With the number of the insertion, so that what was put in again is not forgotten for its former place.
    order: VecDeque<(u64, String)>,
    next: u64,
}

impl<T> Newest<T> {
    /// Of at most so many.
    pub fn of(most: usize) -> Self {
        Self { most, values: HashMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// Puts a value in, in place of the one under this key; the oldest is forgotten.
    pub fn insert(&mut self, key: String, value: T) {
        self.next += 1;
        self.order.push_back((self.next, key.clone()));
        self.values.insert(key, (self.next, value));
        while self.order.len() > self.most {
            let Some((number, key)) = self.order.pop_front() else { return };
            if self.values.get(&key).is_some_and(|(current, _)| *current == number) {
                self.values.remove(&key);
            }
        }
    }

    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.values.get(key).map(|(_, value)| value)
    }

    /// The same, to change it where it is.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.values.get_mut(key).map(|(_, value)| value)
    }

    /// Takes the value out.
    pub fn remove(&mut self, key: &str) -> Option<T> {
        self.values.remove(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_take_memory() {
        let mut newest = Newest::of(3);
        newest.insert("again".to_owned(), 1);
        newest.insert("x".to_owned(), 0);
        newest.insert("y".to_owned(), 0);
        newest.insert("again".to_owned(), 2);
        assert_eq!(newest.get("again"), Some(&2), "its former place is not its own any more");
        for key in ["a", "b", "c"] {
            newest.insert(key.to_owned(), 0);
        }
        assert_eq!((newest.get("again"), newest.values.len(), newest.order.len()), (None, 3, 3));
        *newest.get_mut("a").unwrap() = 7;
        assert_eq!((newest.remove("a"), newest.get("a")), (Some(7), None));
    }
}
