//! Bots in so many servers that Discord wants several sessions of them.

use std::collections::BTreeSet;

use super::gateway::{Connection, Gateway, Kept, while_listening, written};
use super::*;
use crate::adapters::discord::gateway::session::MAX_SHARDS;

/// Begins a session for each of so many shards, in their order.
async fn begin_all(gateway: &mut Gateway, shards: u64) -> Vec<Connection> {
    let resume_url = gateway.resume_url();
    let mut all = Vec::new();
    for shard in 0..shards {
        let mut connection = gateway.greet().await;
        let identify = connection.begin(&resume_url).await;
        assert_eq!(identify["d"]["shard"], json!([shard, shards]));
        all.push(connection);
    }
    all
}

/// Lets so many shards resume; which sessions these are, after which event, in the order of their shards.
async fn resume_all(gateway: &mut Gateway, shards: usize) -> Vec<((String, u64), Connection)> {
    let mut all = Vec::new();
    for _ in 0..shards {
        let mut connection = gateway.greet().await;
        all.push((connection.resumes().await, connection));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// Something that is written in a server.
fn in_server(seq: u64, text: &str) -> Value {
    let mut frame = written(seq, text);
    frame["d"]["guild_id"] = json!("9");
    frame["d"]["channel_type"] = json!(0);
    frame
}

fn sessions(sink: &Kept) -> Vec<(String, u64)> {
    let cursor: Value = serde_json::from_str(sink.cursor.lock().unwrap().as_ref().unwrap()).unwrap();
    let one =
        |session: &Value| (session["id"].as_str().unwrap().to_owned(), session["seq"].as_u64().unwrap());
    cursor["sessions"].as_array().unwrap().iter().map(one).collect()
}

fn shard(number: usize, seq: u64) -> (String, u64) {
    (format!("shard-{number}"), seq)
}

#[tokio::test]
async fn each_shard_has_a_session_and_another_worker_resumes_each() {
    let mut gateway = Gateway::with_shards(3).await;
    let sink = Kept::default();
    let first = gateway.bot(json!({}));
    let ended = while_listening(&first, &sink, async {
        let mut shards = begin_all(&mut gateway, 3).await;
        // Direct messages come to the first shard, of each server to one.
        shards[0].tell(12, "direct").await;
        shards[1].say(&in_server(22, "one server")).await;
        shards[2].say(&in_server(32, "another")).await;
        for (connection, seq) in shards.iter_mut().zip([12, 22, 32]) {
            connection.has_taken(seq).await;
        }
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(
        sink.texts().into_iter().collect::<BTreeSet<_>>(),
        ["another", "direct", "one server"].map(str::to_owned).into()
    );
    assert_eq!(sessions(&sink), [shard(0, 12), shard(1, 22), shard(2, 32)]);
    let direct: Vec<_> = sink.messages.lock().unwrap().iter().map(|message| message.is_group).collect();
    assert_eq!(direct.iter().filter(|is_group| **is_group).count(), 2, "{direct:?}");

    let asked = *gateway.entries.lock().unwrap();
    let second = gateway.bot(json!({}));
    let ended = while_listening(&second, &sink, async {
        let resumed = resume_all(&mut gateway, 3).await;
        let known: Vec<_> = resumed.into_iter().map(|(session, _)| session).collect();
        assert_eq!(known, [shard(0, 12), shard(1, 22), shard(2, 32)]);
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(*gateway.entries.lock().unwrap(), asked, "nothing is begun, so no budget is asked for");
}

#[tokio::test]
async fn a_session_that_is_gone_stops_no_other() {
    let mut gateway = Gateway::with_shards(3).await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor_of_shards(&[5, 6, 7])));
    let resume_url = gateway.resume_url();
    let ended = while_listening(&bot, &sink, async {
        let mut shards = resume_all(&mut gateway, 3).await;
        let (known, mut gone) = shards.remove(1);
        assert_eq!(known, shard(1, 6));
        gone.say(&json!({"op": 9, "d": false})).await;
        for (n, (_, connection)) in shards.iter_mut().enumerate() {
            let seq = 20 + n as u64;
            connection.tell(seq, "meanwhile").await;
            connection.has_taken(seq).await;
        }
        let mut anew = gateway.greet().await;
        assert_eq!(anew.begin(&resume_url).await["d"]["shard"], json!([1, 3]));
        anew.has_taken(1).await;
        // A connection of another that breaks is resumed by itself.
        drop(shards.remove(0));
        let mut again = gateway.greet().await;
        assert_eq!(again.resumes().await, shard(0, 20));
        again.has_taken(20).await;
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.texts(), ["meanwhile", "meanwhile"]);
    assert_eq!(sessions(&sink), [shard(0, 20), shard(1, 1), shard(2, 21)]);
}

/// 4011: the bot has come into too many servers for one session; 4010: there is no such shard.
#[tokio::test]
async fn a_number_of_shards_that_is_refused_becomes_the_recommended_one() {
    for (code, has, wants) in [(4011, 1, 3), (4010, 3, 2)] {
        let mut gateway = Gateway::with_shards(wants).await;
        let cursor = if has == 1 { gateway.cursor(5) } else { gateway.cursor_of_shards(&[5, 6, 7]) };
        let (bot, sink) = (gateway.bot(json!({})), Kept::at(cursor));
        let ended = while_listening(&bot, &sink, async {
            let mut shards = resume_all(&mut gateway, has).await;
            let (_, refused) = shards.remove(0);
            refused.end(code, "because").await;
            for mut connection in begin_all(&mut gateway, wants).await {
                connection.has_taken(1).await;
            }
        });
        assert_eq!(ended.await, Ok(()));
        assert_eq!(sessions(&sink).len() as u64, wants, "{code}");
    }
}

#[tokio::test]
async fn nothing_is_begun_as_long_as_discord_refuses_what_it_recommends() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.hears().await;
        connection.end(4011, "Sharding required.").await;
        sink.told.notified().await;
    });
    assert_eq!(ended.await, Ok(()));
    let told = sink.troubles.lock().unwrap().remove(0).unwrap();
    assert!(told.contains("4011") && told.contains("recommends no other"), "{told}");
    assert!(!gateway.is_called());
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_are_refused_with_a_sentence() {
    let gateway = Gateway::with_shards(MAX_SHARDS as u64 + 1).await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::default());
    match bot.listen(&sink, CancellationToken::new()).await {
        Err(ChannelError::Config(why)) => {
            assert!(why.contains("257") && why.contains("at most 256"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn trouble_names_its_connection_and_is_over_when_no_shard_has_any() {
    let mut gateway = Gateway::with_shards(2).await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor_of_shards(&[5, 6])));
    let ended = while_listening(&bot, &sink, async {
        let mut odd = (gateway.accept().await, gateway.accept().await);
        odd.0.say(&json!("?")).await;
        odd.1.say(&json!("?")).await;
        while sink.troubles.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut shards = resume_all(&mut gateway, 2).await;
        shards[0].1.has_taken(5).await;
        shards[1].1.has_taken(6).await;
    });
    assert_eq!(ended.await, Ok(()));
    let troubles = sink.troubles.lock().unwrap();
    let told: BTreeSet<_> = troubles.iter().flatten().filter_map(|told| told.split(": ").next()).collect();
    assert_eq!(told, ["connection 1 of 2", "connection 2 of 2"].into());
    assert_eq!(troubles.iter().filter(|told| told.is_none()).count(), 1, "{troubles:?}");
    assert_eq!(troubles.last(), Some(&None));
}
