//! Every type of problem there is, for clients that decide by it. The `type` of an answer leads to its description.

use axum::http::StatusCode;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:ident $slug:literal, $advice:literal;)+) => {
        /// A type of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in the `type` of an answer.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// The status it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// What the caller can do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

kinds! {
    /// The request itself is wrong; `detail` names the key, field or header.
    InvalidRequest = BAD_REQUEST "invalid-request", "Change the request as the detail says.";
    /// There is no key, or it is wrong, expired or revoked.
    Unauthorized = UNAUTHORIZED "unauthorized", "Send a good key as a bearer token.";
    /// The key is good, but not for this: another user's path, or a scope that it lacks.
    Forbidden = FORBIDDEN "forbidden", "Use another key.";
    /// There is no such thing, or nothing at this path.
    NotFound = NOT_FOUND "not-found", "Check the path and the ids in it.";
    /// The path is right, the method is not.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed", "Use one of the methods in the header Allow.";
    /// The body came too slowly.
    BodyTimeout = REQUEST_TIMEOUT "body-timeout", "Send it faster, or send less.";
    /// Right in itself, but not in the present state.
    Conflict = CONFLICT "conflict", "Resolve first what the detail says.";
    /// It was there and is not any more.
    Gone = GONE "gone", "Ask for a new link.";
    /// The body is too large.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large", "Send less.";
    /// The part of the file that was asked for lies behind its end.
    RangeNotSatisfiable = RANGE_NOT_SATISFIABLE "range-not-satisfiable", "Ask for a part within Content-Range.";
    /// The platform refused it for good, or can't do it at all.
    Refused = UNPROCESSABLE_ENTITY "refused-by-platform", "Change the message; the same one is refused again.";
    /// It could not be sent within its time to live, so it was not sent.
    Expired = UNPROCESSABLE_ENTITY "expired", "Send it again if it is still wanted, or give it more time with ttl_seconds.";
    /// The Idempotency-Key was used with another body.
    KeyReused = UNPROCESSABLE_ENTITY "idempotency-key-reused", "Use a new key for a new request.";
    /// Too many calls.
    TooManyRequests = TOO_MANY_REQUESTS "too-many-requests", "Wait as long as Retry-After says.";
    /// A fault inside; the gateway's log has its cause.
    Internal = INTERNAL_SERVER_ERROR "internal", "Tell the operator.";
    /// The platform could not be reached, or did not do it after every attempt.
    PlatformFailed = BAD_GATEWAY "platform-failed", "Try again later.";
    /// The database can't be reached or did not commit.
    Unavailable = SERVICE_UNAVAILABLE "unavailable", "Repeat the call after Retry-After, with the same Idempotency-Key.";
}

impl Kind {
    /// What a bare status means.
    pub fn of(status: StatusCode) -> Self {
        let found = Self::ALL.iter().find(|kind| kind.status() == status);
        found.copied().unwrap_or(if status.is_client_error() { Self::InvalidRequest } else { Self::Internal })
    }

    /// The one of this name.
    pub fn named(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }

    /// The `type` of an answer: a relative reference (RFC 9457, section 3.1.1) that the gateway serves.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_its_status_is_covered() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.slug()), Some(*kind));
            assert_eq!(Kind::of(kind.status()).status(), kind.status());
            assert!(kind.meaning().ends_with('.') && kind.advice().ends_with('.'), "{kind:?}");
        }
    }
}
