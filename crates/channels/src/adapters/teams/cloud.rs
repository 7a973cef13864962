//! Microsoft's clouds: each has servers and names of its own, and a bot belongs to one of them
//! (<https://learn.microsoft.com/en-us/previous-versions/microsoftteams/platform/concepts/sovereign-cloud>).
//!
//! A closed list, because what is in it is sent the client's secret or the token that is given for it. Its values are those of
//! Microsoft's own library (<https://github.com/microsoft/teams.ts/blob/main/packages/api/src/auth/cloud-environment.ts>), the connectors'
//! addresses those of
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages>.

use url::Url;

/// What a channel calls them; the first is meant where it names none.
pub(super) const NAMES: &[&str] = &["public", "gcc", "gcc_high", "dod", "china"];

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cloud {
    /// Where tokens are handed out.
    pub(super) login: &'static str,
    /// In place of an organisation, for bots that belong to none.
    pub(super) no_tenant: &'static str,
    /// For what the tokens are.
    pub(super) scope: &'static str,
    /// Where the keys are published that sign what is posted to bots; `v1/.well-known/keys` below it is the `jwks_uri` of the
    /// `OpenID` metadata beside it.
    pub(super) keys: &'static str,
    /// Who signs it.
    pub(super) issuer: &'static str,
    /// Serves all conversations of the cloud; `None` where Microsoft names no such address.
    pub(super) connector: Option<&'static str>,
    /// The hosts of its connectors.
    hosts: &'static [&'static str],
    /// Whether bots may give people files and get them: not in these of the government
    /// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>).
    pub(super) files: bool,
}

const PUBLIC: Cloud = Cloud {
    login: "https://login.microsoftonline.com",
    no_tenant: "botframework.com",
    scope: "https://api.botframework.com/.default",
    keys: "https://login.botframework.com",
    issuer: "https://api.botframework.com",
    connector: Some("https://smba.trafficmanager.net/teams"),
    hosts: &[
        "smba.trafficmanager.net",
        "smba.onyx.prod.teams.trafficmanager.net",
        "smba.infra.gcc.teams.microsoft.com",
    ],
    files: true,
};

/// Its identities are those of the public cloud.
const GCC: Cloud = Cloud { connector: Some("https://smba.infra.gcc.teams.microsoft.com/teams"), ..PUBLIC };

const GCC_HIGH: Cloud = Cloud {
    login: "https://login.microsoftonline.us",
    no_tenant: "MicrosoftServices.onmicrosoft.us",
    scope: "https://api.botframework.us/.default",
    keys: "https://login.botframework.azure.us",
    issuer: "https://api.botframework.us",
    connector: Some("https://smba.infra.gov.teams.microsoft.us/teams"),
    hosts: &["smba.infra.gov.teams.microsoft.us"],
    files: false,
};

const DOD: Cloud = Cloud {
    connector: Some("https://smba.infra.dod.teams.microsoft.us/teams"),
    hosts: &["smba.infra.dod.teams.microsoft.us"],
    ..GCC_HIGH
};

const CHINA: Cloud = Cloud {
    login: "https://login.partner.microsoftonline.cn",
    no_tenant: "microsoftservices.partner.onmschina.cn",
    scope: "https://api.botframework.azure.cn/.default",
    keys: "https://login.botframework.azure.cn",
    issuer: "https://api.botframework.azure.cn",
    connector: None,
    hosts: &["frontend.botapi.msg.infra.teams.microsoftonline.cn"],
    files: true,
};

impl Cloud {
    /// The cloud that a channel names; `None` for a name that is none.
    pub(super) fn named(name: Option<&str>) -> Option<Self> {
        match name.unwrap_or(NAMES[0]) {
            "public" => Some(PUBLIC),
            "gcc" => Some(GCC),
            "gcc_high" => Some(GCC_HIGH),
            "dod" => Some(DOD),
            "china" => Some(CHINA),
            _ => None,
        }
    }

    /// Whether this is the address of one of its connectors, which may see the bot's token.
    pub(super) fn serves(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| self.hosts.contains(&host))
    }

    /// The hosts of its connectors, for a sentence.
    pub(super) fn hosts(&self) -> String {
        self.hosts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_cloud_whose_connector_is_its_own() {
        for name in NAMES {
            let cloud = Cloud::named(Some(name)).unwrap();
            for address in [cloud.login, cloud.keys, cloud.issuer].into_iter().chain(cloud.connector) {
                assert_eq!(Url::parse(address).unwrap().scheme(), "https", "{name}: {address}");
            }
            if let Some(connector) = cloud.connector {
                assert!(cloud.serves(&Url::parse(connector).unwrap()), "{name}");
            }
        }
        assert_eq!(Cloud::named(None), Cloud::named(Some("public")));
        assert_eq!(Cloud::named(Some("moon")), None);
    }

    #[test]
    fn a_token_goes_to_the_clouds_own_hosts_only() {
        let serves =
            |name, address: &str| Cloud::named(Some(name)).unwrap().serves(&Url::parse(address).unwrap());
        assert!(serves("public", "https://smba.trafficmanager.net/emea/v3/attachments/1"));
        assert!(serves("dod", "https://smba.infra.dod.teams.microsoft.us/teams"));
        for address in [
            "http://smba.trafficmanager.net/emea/",
            "https://smba.trafficmanager.net:8443/",
            "https://smba.trafficmanager.net.evil.example/",
            "https://smba.trafficmanager.net@evil.example/",
            "https://evil.example/smba.trafficmanager.net",
            "https://smba.infra.gov.teams.microsoft.us/teams",
        ] {
            assert!(!serves("public", address), "{address}");
        }
        assert!(!serves("gcc_high", "https://smba.trafficmanager.net/teams"));
    }
}
