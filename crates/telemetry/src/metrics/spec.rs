//! What is said of a metric.

use ::metrics::Unit;

use super::labels::{Label, Values};

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The API.
    Gateway,
    /// Owns shards.
    Worker,
    /// Elects a leader.
    Scheduler,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Worker, Self::Scheduler];

    /// As members of the cluster call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
        }
    }
}

/// What is said of a metric.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What it tells, in a sentence.
    pub help: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// Who counts it.
    pub roles: &'static [Role],
}

impl Spec {
    /// Whether this role counts it.
    pub fn is_of(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// How many series it has, if that is known beforehand.
    pub(super) fn series(&self) -> Option<usize> {
        self.labels.iter().try_fold(1, |count, label| match label.values {
            Values::Fixed(values) => Some(count * values.len()),
            Values::Bounded(_) => None,
        })
    }

    /// Which of its series has these values.
    pub(super) fn place(&self, values: &[&str]) -> Option<usize> {
        if values.len() != self.labels.len() {
            return None;
        }
        self.labels.iter().zip(values).try_fold(0, |place, (label, value)| match label.values {
            Values::Fixed(all) => Some(place * all.len() + all.iter().position(|one| one == value)?),
            Values::Bounded(_) => None,
        })
    }

    /// The values of the series at this place: the opposite of [`Self::place`].
    pub(super) fn values(&self, mut place: usize) -> Vec<&'static str> {
        let mut values = Vec::with_capacity(self.labels.len());
        for label in self.labels.iter().rev() {
            let Values::Fixed(all) = label.values else { continue };
            values.push(all[place % all.len()]);
            place /= all.len();
        }
        values.reverse();
        values
    }

    /// The labels with these values.
    pub(super) fn labelled(&self, values: &[&str]) -> Vec<::metrics::Label> {
        debug_assert_eq!(values.len(), self.labels.len(), "{} has other labels", self.name);
        let pairs = self.labels.iter().zip(values);
        pairs.map(|(label, value)| ::metrics::Label::new(label.name, (*value).to_owned())).collect()
    }
}

/// A kind of metric: its variants, each with name, unit, labels, roles and help.
macro_rules! kind {
    ($(#[$about:meta])* $kind:ident {
        $($variant:ident = $name:literal, $unit:ident, [$($label:expr),*], $roles:expr, $help:literal;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind {
            $(#[doc = $help] $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// What is said of it.
            pub fn spec(self) -> &'static $crate::metrics::Spec {
                match self {
                    $(Self::$variant => &$crate::metrics::Spec {
                        name: $name,
                        help: $help,
                        unit: ::metrics::Unit::$unit,
                        labels: &[$($label),*],
                        roles: $roles,
                    },)*
                }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                self.spec().name
            }
        }
    };
}
