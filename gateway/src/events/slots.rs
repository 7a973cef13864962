//! How many streams are open at once, in all and of one user: each is a task and a connection, and one user must not
//! take all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claw_types::UserId;

use crate::error::{Kind, Problem};

/// Streams of one gateway.
const MOST: usize = 1_000;
/// Of those, streams of one user.
const MOST_OF_ONE: usize = 50;

/// The open streams of a gateway.
#[derive(Default)]
pub struct Slots(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    of: HashMap<UserId, usize>,
}

/// The right to a stream; given back when it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    user: Option<UserId>,
}

impl Slots {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many streams there are.
    pub fn open(&self) -> usize {
        self.taken().all
    }

    /// A slot for one more stream; `user` is `None` for the operator's.
    ///
    /// # Errors
    /// 503 when this gateway has no more, 429 when the user has as many as one may have.
    pub fn take(self: &Arc<Self>, user: Option<&UserId>) -> Result<Slot, Problem> {
        let mut taken = self.taken();
        if taken.all >= MOST {
            let detail = format!(
                "this gateway serves {MOST} event streams already: try again later, or another gateway"
            );
            return Err(Problem::of(Kind::Unavailable, detail));
        }
        if let Some(user) = user {
            let own = taken.of.entry(user.clone()).or_default();
            if *own >= MOST_OF_ONE {
                let detail =
                    format!("this user has {MOST_OF_ONE} event streams open here: close one of them first");
                return Err(Problem::of(Kind::TooManyRequests, detail));
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Slot { slots: Arc::clone(self), user: user.cloned() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.all = taken.all.saturating_sub(1);
        let Some(user) = &self.user else { return };
        if let Some(own) = taken.of.get_mut(user) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.of.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn refused(slots: &Arc<Slots>, user: Option<&UserId>) -> u16 {
        slots.take(user).err().map_or(0, |problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn slots_are_bounded_in_all_and_for_one_and_come_back() {
        let slots = Arc::new(Slots::default());
        let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let mut held: Vec<Slot> = (0..MOST_OF_ONE).map(|_| slots.take(Some(&ada)).unwrap()).collect();
        assert_eq!(refused(&slots, Some(&ada)), 429);
        assert_eq!(refused(&slots, Some(&bob)), 0, "another one is served");
        held.extend((MOST_OF_ONE..MOST).map(|_| slots.take(None).unwrap()));
        assert_eq!((refused(&slots, None), refused(&slots, Some(&bob))), (503, 503));
        held.clear();
        assert!(slots.taken().of.is_empty() && slots.taken().all == 0);
        assert_eq!(refused(&slots, Some(&ada)), 0);
    }
}
