//! Which address of a name is tried first, and for how long.

use tokio::net::TcpListener;

use super::*;

#[test]
fn the_address_that_worked_last_comes_first() {
    let all = ["[2001:db8::1]:443", "192.0.2.1:443", "192.0.2.2:443"]
        .map(|address| address.parse::<SocketAddr>().unwrap());
    let [a, b, c] = all;
    for (last_good, expected) in [
        (None, [a, b, c]),
        (Some(a), [a, b, c]),
        (Some(b), [b, a, c]),
        (Some(c), [c, a, b]),
        // It is the name's no more.
        (Some("192.0.2.9:443".parse().unwrap()), [a, b, c]),
    ] {
        let mut addresses = all;
        put_first(&mut addresses, last_good);
        assert_eq!(addresses, expected, "{last_good:?}");
    }
}

/// A listener that nobody accepts from and whose queue is full: further connections get no answer
/// at all.
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    (listener, queued)
}

#[tokio::test]
async fn an_address_that_never_answers_does_not_block_the_next() {
    let (hole, _queued) = black_hole().await;
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (hole, good) = (hole.local_addr().unwrap(), good.local_addr().unwrap());
    let limit = Duration::from_millis(500);
    let dial = async |addresses: &[SocketAddr]| {
        // As `connect` limits it.
        timeout(limit, dial_any(addresses, None, limit)).await
    };
    let (_, address) = dial(&[hole, good]).await.unwrap().unwrap();
    assert_eq!(address, good);
    let none = dial_any(&[hole], None, limit).await;
    assert_eq!(none.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let none = dial_any(&[], None, limit).await;
    assert_eq!(none.unwrap_err().kind(), io::ErrorKind::Other);
}
