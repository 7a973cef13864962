use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use claw_media::Error;

use super::*;

const FOLDER: &str = "CLAW_MEDIA_TEST_FOLDER";

/// A full disk needs a disk of one's own; a limit on the size of a file fails the same write in the same way. The limit
/// is for a whole process, so the test runs itself again under one.
#[tokio::test]
async fn a_disk_that_takes_no_more_leaves_nothing_and_says_so() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill(PathBuf::from(folder)).await;
    }
    let folder = TempDir::new().unwrap();
    // 2048 blocks are 1 or 2 MiB, as the shell likes.
    let script = r#"trap "" XFSZ; ulimit -f 2048 && exec "$0" --exact --nocapture "$1""#;
    let name = "full::a_disk_that_takes_no_more_leaves_nothing_and_says_so";
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program).arg(name).env(FOLDER, folder.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?} {:?}\n{said}", output.status, output.status.signal());
    assert!(said.contains("1 passed"), "{said}");
}

async fn fill(folder: PathBuf) {
    let store = MediaStore::local(&folder, Lifecycle::new()).unwrap();
    let small = store.put(&key(1), None, LIMITS, chunks(b"small")).await.unwrap();
    // At once, and part by part.
    for length in [3 * MIB, 12 * MIB] {
        for key in [key(1), key(2)] {
            let refused = store.put(&key, None, LIMITS, chunks(&content(length))).await.unwrap_err();
            assert!(matches!(refused, Error::Full(_)), "{length}: {refused:?}");
            assert!(refused.to_string().contains("full"), "{refused}");
        }
    }
    assert_eq!(store.find(&key(2)).await.unwrap(), None);
    assert_eq!(read(&store, &key(1), &small, None).await, b"small");
    assert_eq!(folder::files(&folder).len(), 1);
}
