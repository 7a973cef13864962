//! Certificates for the internal RPC: three files, which come together or not at all.

use std::path::PathBuf;

use clap::Args;

use crate::ConfigError;

/// Certificates for the internal RPC.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsSettings {
    /// Certificate of this process, and the chain to its authority, in PEM; for the DNS name ii-claw
    #[arg(long, env = "II_CLAW_RPC_TLS_CERT")]
    pub rpc_tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, env = "II_CLAW_RPC_TLS_KEY")]
    pub rpc_tls_key: Option<PathBuf>,
    /// Authority that signs the certificates of all roles, in PEM
    #[arg(long, env = "II_CLAW_RPC_TLS_CA")]
    pub rpc_tls_ca: Option<PathBuf>,
}

/// The files for TLS between roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// A certificate and its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of all certificates.
    pub ca: PathBuf,
}

impl TlsFiles {
    /// The setting of the certificate.
    pub const CERT: &'static str = "II_CLAW_RPC_TLS_CERT";
    /// The setting of the private key.
    pub const KEY: &'static str = "II_CLAW_RPC_TLS_KEY";
    /// The setting of the authority.
    pub const CA: &'static str = "II_CLAW_RPC_TLS_CA";
    pub(crate) const ALL: [&'static str; 3] = [Self::CERT, Self::KEY, Self::CA];
}

impl TlsSettings {
    /// The three files; `None` when none is set.
    ///
    /// # Errors
    /// When only some are set.
    pub fn files(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let Self { rpc_tls_cert: cert, rpc_tls_key: key, rpc_tls_ca: ca } = self;
        if cert.is_none() && key.is_none() && ca.is_none() {
            return Ok(None);
        }
        let set = |file: &Option<PathBuf>, setting| file.clone().ok_or(ConfigError::Alone(setting));
        Ok(Some(TlsFiles {
            cert: set(cert, TlsFiles::CERT)?,
            key: set(key, TlsFiles::KEY)?,
            ca: set(ca, TlsFiles::CA)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_are_set_or_none() {
        assert_eq!(TlsSettings::default().files(), Ok(None));
        let file = |set: bool| set.then(|| PathBuf::from("/f"));
        for which in 1..8 {
            let settings = TlsSettings {
                rpc_tls_cert: file(which & 1 != 0),
                rpc_tls_key: file(which & 2 != 0),
                rpc_tls_ca: file(which & 4 != 0),
            };
            let read = settings.files();
            assert_eq!(read.is_ok(), which == 7, "{settings:?}: {read:?}");
        }
        let only = TlsSettings { rpc_tls_key: file(true), ..TlsSettings::default() };
        let said = only.files().unwrap_err().to_string();
        assert_eq!(
            said,
            "II_CLAW_RPC_TLS_CERT is not set, though others of II_CLAW_RPC_TLS_CERT, II_CLAW_RPC_TLS_KEY, \
             II_CLAW_RPC_TLS_CA are: set all three or none"
        );
    }
}
