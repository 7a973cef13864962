//! A server that takes mail by SMTP and notes it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::exam::doors::Stage;
use crate::exam::{Asked, Mood};

pub(super) async fn serve(stream: TcpStream, stage: Stage) {
    // One that breaks is what is wanted of it at times.
    drop(speak(BufReader::new(stream), &stage).await);
}

async fn speak(mut stream: BufReader<TcpStream>, stage: &Stage) -> std::io::Result<()> {
    stream.write_all(b"220 exam ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let mood = stage.mood();
        let reply = match (word.as_str(), mood) {
            ("EHLO", _) => "250-exam\r\n250-SIZE 50000000\r\n250-DSN\r\n250 AUTH PLAIN LOGIN XOAUTH2",
            ("AUTH", Mood::Refuses(401)) => "535 5.7.8 authentication failed",
            ("AUTH", _) => "235 2.7.0 welcome",
            // On a connection that was signed in before.
            ("MAIL", Mood::Refuses(401)) => "530 5.7.0 Authentication required",
            ("MAIL", Mood::Refuses(429)) => "450 4.2.1 The user is receiving mail too quickly",
            ("MAIL", Mood::Refuses(_)) => "451 4.3.0 Temporary System Problem. Try again later",
            ("MAIL" | "RCPT" | "RSET", _) => "250 2.1.0 Ok",
            ("DATA", _) => {
                stream.write_all(b"354 go on\r\n").await?;
                let mail = mail(&mut stream).await?;
                let target = "smtp:DATA".to_owned();
                stage.note(Asked { method: Method::POST, target, headers: HeaderMap::new(), body: mail });
                match mood {
                    Mood::Silent => std::future::pending().await,
                    Mood::Cuts => return Ok(()),
                    Mood::Well | Mood::Refuses(_) => "250 2.0.0 Ok: queued",
                }
            }
            ("QUIT", _) => return stream.write_all(b"221 2.0.0 Bye\r\n").await,
            _ => "502 5.5.2 what?",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

/// Up to the line with the point.
async fn mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<Bytes> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail.into());
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
