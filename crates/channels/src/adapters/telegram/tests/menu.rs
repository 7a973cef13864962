//! Commands that Telegram offers.

use super::*;

fn with_commands(server: &str, lines: &[&str]) -> Result<Telegram, ChannelError> {
    let config = json!({"bot_token_env": TOKEN, "api_url": server, "commands": lines});
    Telegram::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default())))
}

/// Registered at every start until the bot is locked out: a fault seen elsewhere.
#[tokio::test]
async fn what_is_there_already_is_not_set_again() {
    let server = Server::default();
    let url = serve(server.router()).await;
    let bot = with_commands(&url, &["/ask: Ask the assistant", "help"]).unwrap();
    let wanted = json!([{"command": "ask", "description": "Ask the assistant"}, {"command": "help", "description": "help"}]);
    server.will(json!([{"command": "old", "description": "Something else"}]));
    server.will(json!(true));
    bot.offer_commands().await;
    let set = ("setMyCommands".to_owned(), json!({"commands": wanted}));
    assert_eq!(server.asked(), [("getMyCommands".to_owned(), json!({})), set]);
    server.will(wanted);
    bot.offer_commands().await;
    assert_eq!(server.asked(), [("getMyCommands".to_owned(), json!({}))]);
}

#[tokio::test]
async fn a_channel_without_commands_leaves_them_alone() {
    let (server, bot) = Server::start().await;
    bot.offer_commands().await;
    assert!(server.asked().is_empty());
}

#[test]
fn what_telegram_would_refuse_is_refused_with_a_sentence() {
    let long = format!("ask: {}", "x".repeat(257));
    for (lines, words) in [
        (&["Ask: x"][..], "lower-case"),
        (&["grüße"], "a to z"),
        (&["a-b"], "a to z"),
        (&[": x"], "no name"),
        (&["ask", "/ask: again"], "twice"),
        (&[long.as_str()], "256"),
        (&["a"; 101], "100"),
    ] {
        let refused = with_commands("https://x.org", lines);
        assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.contains(words)), "{lines:?}");
    }
}
