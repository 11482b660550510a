//! A proxy as companies have it: it wants a password, and leads to Microsoft's hosts. Behind it somebody reads along.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::foreign::PUPIL;
use super::spy::{Asked, Host, Spy};

/// Listens; what is asked for is led to `there`. Its address.
pub async fn begin(spy: Arc<Spy>, there: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let spy = Arc::clone(&spy);
            // Who goes away in the middle is no concern of this.
            tokio::spawn(async move { drop(lead(stream, &spy, there).await) });
        }
    });
    address
}

async fn lead(mut stream: TcpStream, spy: &Spy, there: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let asked = read(&String::from_utf8(head).unwrap());
    // To Kubernetes, for who says that it is behind the proxy too.
    let place = asked.uri.to_string();
    let to = if place.starts_with("127.0.0.1:") { place.parse().unwrap() } else { there };
    let is_known = to != there || Host::named(&place) != Host::Unknown;
    let has_password = asked.headers.contains_key("proxy-authorization");
    spy.keep(asked);
    if !is_known || !has_password {
        let page = format!(
            "HTTP/1.1 407 Who are you, {PUPIL}\r\nproxy-authenticate: Basic\r\n\r\n<html>{PUPIL}</html>"
        );
        return stream.write_all(page.as_bytes()).await;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut server = TcpStream::connect(to).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

fn read(head: &str) -> Asked {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let method: Method = words.next().unwrap().parse().unwrap();
    let uri: Uri = words.next().unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    };
    let headers: HeaderMap = lines.filter_map(header).collect();
    Asked { host: Host::Proxy, method, uri, headers, body: Bytes::new() }
}
