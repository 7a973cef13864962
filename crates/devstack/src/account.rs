//! Whom PostgreSQL runs as, and a place for its data which that account reaches.
//!
//! PostgreSQL refuses to run as root, so for root it runs as another account,
//! and that account must be able to reach the data. The directory itself is
//! opened to that account's group when root owns it. When something above it
//! is closed (a checkout under a private home), opening that is not ours to
//! do: the data goes to `/var/lib/ii-claw` and a symlink marks where it was
//! wanted, so that later starts and curious people find it.

use std::{
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{fs, process::Command};

use crate::{Error, dir::make};

/// Where data goes that its server could not reach in the wanted place.
const ELSEWHERE: &str = "/var/lib/ii-claw";

/// The account a server runs as when it must not run as root.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Whom to run as for data at `wanted`; `None` is ourselves.
    ///
    /// Existing data stays with its owner, so that `sudo` on a user's checkout
    /// does not lock the user out.
    pub(crate) fn for_data(wanted: &Path) -> Result<Option<Self>, Error> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        if let Ok(meta) = std::fs::metadata(wanted)
            && meta.uid() != 0
        {
            return Ok(Some(Self { name: format!("uid {}", meta.uid()), uid: meta.uid(), gid: meta.gid() }));
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
            .map(|user| Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
            .ok_or(Error::NoAccount)
    }

    /// Makes `command` run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives `path` to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(format!(
            "give {} to {}",
            path.display(),
            self.name
        )))
    }

    /// Whether this account can enter `dir`: the kernel is asked by trying.
    async fn enters(&self, dir: &Path) -> Result<bool, Error> {
        let mut probe = Command::new("true");
        probe.current_dir(dir).stdin(Stdio::null());
        self.apply(&mut probe);
        match probe.status().await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(Error::io(format!("run `true` as {}", self.name))(error)),
        }
    }

    /// Lets the account's group through a directory which is root's own.
    fn admit(&self, dir: &Path) -> Result<(), Error> {
        let failed = || Error::io(format!("open {} to {}", dir.display(), self.name));
        let meta = std::fs::metadata(dir).map_err(failed())?;
        if meta.uid() != 0 || ![0, self.gid].contains(&meta.gid()) {
            return Ok(());
        }
        std::os::unix::fs::chown(dir, None, Some(self.gid)).map_err(failed())?;
        let mode = (meta.mode() & 0o7707) | 0o010;
        std::fs::set_permissions(dir, PermissionsExt::from_mode(mode)).map_err(failed())
    }
}

/// Decides where data that is wanted at `wanted` really goes.
pub(crate) async fn place(wanted: &Path, account: Option<&Account>) -> Result<PathBuf, Error> {
    let dir = wanted.parent().unwrap_or(wanted);
    if let Ok(target) = fs::read_link(wanted).await {
        let home = dir.join(target);
        make_open(home.parent().unwrap_or(dir)).await?;
        return Ok(home);
    }
    let Some(account) = account else {
        return Ok(wanted.to_owned());
    };
    if !account.enters(dir).await? {
        account.admit(dir)?;
        if !account.enters(dir).await? {
            return elsewhere(wanted, account).await;
        }
    }
    Ok(wanted.to_owned())
}

async fn elsewhere(wanted: &Path, account: &Account) -> Result<PathBuf, Error> {
    if fs::try_exists(wanted).await.unwrap_or(false) {
        return Err(Error::Unreachable { path: wanted.to_owned(), account: account.name.clone() });
    }
    let base = Path::new(ELSEWHERE);
    make_open(base).await?;
    let home = base.join(elsewhere_name(wanted));
    fs::symlink(&home, wanted).await.map_err(Error::io(format!("create {}", wanted.display())))?;
    tracing::info!(
        path = %wanted.display(),
        data = %home.display(),
        os_account = account.name,
        "the account of the database cannot enter this directory: its data is kept elsewhere, with a symlink here",
    );
    Ok(home)
}

/// Creates a directory that everybody gets through, whatever the umask says.
async fn make_open(dir: &Path) -> Result<(), Error> {
    if fs::try_exists(dir).await.unwrap_or(false) {
        return Ok(());
    }
    make(dir, 0o755)?;
    fs::set_permissions(dir, PermissionsExt::from_mode(0o755))
        .await
        .map_err(Error::io(format!("open {} to everybody", dir.display())))
}

/// `<name>-<hash>`: something to recognise it by, and the whole path.
fn elsewhere_name(wanted: &Path) -> String {
    let name = wanted
        .ancestors()
        .skip(1)
        .filter_map(|dir| dir.file_name()?.to_str())
        .find(|name| !name.starts_with('.'))
        .unwrap_or("data");
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    // FNV-1a: the name must be the same in every build of this program.
    let hash = wanted.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{name}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::elsewhere_name;
    use std::path::Path;

    #[test]
    fn data_kept_elsewhere_is_named_after_the_checkout_and_its_path() {
        let one = elsewhere_name(Path::new("/root/my app/.ii-claw/postgres"));
        let two = elsewhere_name(Path::new("/srv/my app/.ii-claw/postgres"));
        assert!(one.starts_with("myapp-"), "{one}");
        assert_ne!(one, two);
        // FNV-1a of "a", so that data is found again by every later build.
        assert_eq!(elsewhere_name(Path::new("a")), "data-af63dc4c8601ec8c");
    }
}
