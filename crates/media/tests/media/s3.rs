use claw_media::{Error, S3Keys};
use claw_testkit::install_tls;

use super::*;

struct Service {
    process: tokio::process::Child,
    url: String,
    client: reqwest::Client,
}

impl Service {
    #[expect(clippy::disallowed_methods, reason = "a plain client, to look at the peer")]
    async fn start() -> Self {
        install_tls();
        let (process, url) = claw_testkit::s3().await;
        let client = reqwest::Client::new();
        let made = client.put(format!("{url}/claw-media")).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
        Self { process, url, client }
    }

    fn store(&self, place: &str) -> MediaStore {
        let location = format!("s3://{place}?endpoint={}&region=eu-central-1", self.url).parse().unwrap();
        let keys = S3Keys {
            access_key_id: Some("id".into()),
            secret_access_key: Some("secret".into()),
            session_token: None,
        };
        MediaStore::open(&location, keys, Lifecycle::new()).unwrap()
    }

    async fn list(&self, what: &str) -> String {
        let listed = self.client.get(format!("{}/claw-media?{what}", self.url)).send().await.unwrap();
        listed.error_for_status().unwrap().text().await.unwrap()
    }
}

#[tokio::test]
async fn a_bucket_does_what_every_place_must() {
    let service = Service::start().await;
    exam::take(&service.store("claw-media")).await;
    let unfinished = service.list("uploads").await;
    assert!(unfinished.contains("<ListMultipartUploadsResult"), "{unfinished}");
    assert!(!unfinished.contains("<Upload>"), "no part is left of what failed: {unfinished}");
}

#[tokio::test]
async fn old_attachments_of_a_bucket_go_and_the_prefix_is_kept_to() {
    let service = Service::start().await;
    let (ours, theirs) = (service.store("claw-media/a/b"), service.store("claw-media/c"));
    theirs.put(&key(1), None, LIMITS, chunks(b"x")).await.unwrap();
    expire::exam(&ours).await;
    assert!(theirs.find(&key(1)).await.unwrap().is_some());
    assert_eq!(ours.find(&key(1)).await.unwrap(), None);
    let names = service.list("list-type=2").await;
    assert_eq!(names.matches("<Key>").count(), 2, "{names}");
    assert!(names.contains("<Key>a/b/2999/01/01/") && names.contains("<Key>c/2026/03/04/"), "{names}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_and_a_service_that_is_down_are_told() {
    let mut service = Service::start().await;
    let wrong = service.store("claw-other").check().await;
    assert!(matches!(wrong, Err(Error::Store(_))), "{wrong:?}");
    let store = service.store("claw-media");
    service.process.kill().await.unwrap();
    assert!(matches!(store.find(&key(1)).await, Err(Error::Store(_))));
    assert!(matches!(store.put(&key(1), None, LIMITS, chunks(b"x")).await, Err(Error::Store(_))));
}

#[test]
fn half_a_pair_of_keys_is_refused() {
    install_tls();
    let location = "s3://claw-media".parse().unwrap();
    let keys = S3Keys { access_key_id: Some("id".into()), ..S3Keys::default() };
    assert!(MediaStore::open(&location, keys, Lifecycle::new()).is_err());
}
