use futures::stream;
use tokio::time::sleep;

use super::*;

const LIMITS: Limits = Limits { silence: Duration::from_secs(15), whole: Duration::from_secs(60) };

/// What comes: after so many seconds, these bytes or a break.
async fn read_all(
    chunks: Vec<(u64, Result<&'static str, ()>)>,
    stopping: &CancellationToken,
) -> (Ending, String, u64) {
    let (began, folded) = (Instant::now(), watch::Sender::new(Folded::default()));
    let body = stream::iter(chunks).then(async |(after, chunk)| {
        sleep(Duration::from_secs(after)).await;
        chunk.map(Bytes::from)
    });
    let ending = read(body, LIMITS, stopping, &folded).await;
    (ending, folded.borrow().text().to_owned(), began.elapsed().as_secs())
}

fn broke(why: &str) -> Ending {
    Ending::Broken(why.to_owned())
}

#[tokio::test(start_paused = true)]
async fn it_is_complete_when_it_says_so_and_when_it_ends() {
    let ours = CancellationToken::new();
    let ended = vec![(1, Ok("data: a\n\n")), (1, Ok("data: b"))];
    assert_eq!(read_all(ended, &ours).await, (Ending::Complete, "ab".into(), 2));
    let said = vec![(1, Ok("data: a\n\ndata: [DONE]\n\n")), (1, Err(()))];
    assert_eq!(read_all(said, &ours).await, (Ending::Complete, "a".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_off_is_no_answer() {
    let ours = CancellationToken::new();
    let cut = vec![(1, Ok("data: a\n\n")), (1, Err(()))];
    assert_eq!(read_all(cut, &ours).await.0, broke("the connection to the backend broke in its answer"));
    let silent = vec![(1, Ok("data: a\n\n")), (14, Ok(": still here\n\n")), (16, Ok("data: b\n\n"))];
    let silence = broke("the backend wrote nothing for 15 s in its answer");
    assert_eq!(read_all(silent, &ours).await, (silence, "a".into(), 30), "a comment is a sign of life");
    let endless = vec![(10, Ok(": still here\n\n")); 100];
    let end = Ending::TooLong("the backend's answer did not end within 60 s".to_owned());
    assert_eq!(read_all(endless, &ours).await, (end, String::new(), 60));
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    let without_mark = broke("the backend's answer ended without the mark of its end");
    assert_eq!(read_all(vec![(1, Ok(chunk))], &ours).await, (without_mark, "a".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_long_is_cut() {
    let ours = CancellationToken::new();
    let endless = vec![(7, Ok("data: a\n\n")); 100];
    assert_eq!(read_all(endless, &ours).await, (Ending::Complete, "a".repeat(8), 60));
}

#[tokio::test(start_paused = true)]
async fn one_that_begins_with_an_error_is_a_failure_of_the_backends() {
    let ours = CancellationToken::new();
    let error = "event: error\ndata: {\"error\": {\"message\": \"Overloaded\"}}\n\n";
    let failed = Ending::Failed("the backend broke it off: Overloaded".to_owned());
    assert_eq!(read_all(vec![(1, Ok(error)), (1, Err(()))], &ours).await, (failed.clone(), String::new(), 1));
    assert_eq!(failed.sign(), Some(Sign::Failing));
    let late = vec![(1, Ok("data: a\n\n")), (1, Ok(error))];
    assert_eq!(read_all(late, &ours).await, (Ending::Complete, "a".into(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stops_does_not_wait_for_it() {
    let stopping = CancellationToken::new();
    let reading = read_all(vec![(10, Ok("data: a\n\n")); 5], &stopping);
    let stop = async {
        sleep(Duration::from_secs(25)).await;
        stopping.cancel();
    };
    let (read, ()) = tokio::join!(reading, stop);
    assert_eq!(read, (Ending::NotOurs, "aa".into(), 25));
}
