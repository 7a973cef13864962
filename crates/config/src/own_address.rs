//! The address by which other machines reach this one, as far as it can tell.
//!
//! That of the default route's interface. Rejected: the host name, which only this machine may know: in a container without a name
//! service nobody else does, and many systems resolve their own to 127.0.1.1. Machines with several networks, and those
//! behind a translation of addresses, have to be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Addresses that lead out of every network, and belong to nobody (RFC 5737, RFC 3849).
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Of a socket that listens on all addresses of `bound`'s family; `None` where no route leads anywhere.
pub(crate) fn own_address(bound: IpAddr) -> Option<IpAddr> {
    let v4 = || towards(Ipv4Addr::UNSPECIFIED.into(), FAR.into());
    let v6 = || towards(Ipv6Addr::UNSPECIFIED.into(), FAR_V6.into());
    // One that listens on all of IPv6 listens on all of IPv4, too.
    if bound.is_ipv6() { v4().or_else(v6) } else { v4() }
}

/// The kernel chooses the address as for a packet, but none is sent.
fn towards(all: IpAddr, far: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((all, 0)).ok()?;
    socket.connect((far, 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_listens_on_all_addresses_is_reached_by_this_one() {
        for all in ["0.0.0.0:0", "[::]:0"] {
            // Without IPv6 there is nothing to reach.
            let Ok(listener) = TcpListener::bind(all) else { continue };
            let bound = listener.local_addr().unwrap();
            if let Some(ip) = own_address(bound.ip()) {
                let address = SocketAddr::new(ip, bound.port());
                TcpStream::connect(address).unwrap_or_else(|error| panic!("{all} as {address}: {error}"));
            }
        }
        let nowhere = towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into());
        assert_eq!(nowhere, None, "nobody else reaches that");
    }
}
