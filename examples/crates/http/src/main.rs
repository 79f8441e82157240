//! A program with a page of its own: it answers when it has time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tickscope_http::{Limits, Listener, News, Reply};

fn main() -> std::io::Result<()> {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Limits::default(), None)?;
    let address = listener.address();
    let client = thread::spawn(move || {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /players HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        stream.read_to_string(&mut answer)?;
        Ok::<String, std::io::Error>(answer)
    });
    while !client.is_finished() {
        for news in listener.take() {
            if let News::Asked(incoming) = news {
                let asked = format!("you asked for {}\n", incoming.asked.target);
                let _ = incoming.reply.send(Reply::plain(200, &asked)); // an error: they went away
            }
        }
        thread::sleep(Duration::from_millis(5)); // the rest of a tick
    }
    let answer = client.join().expect("the client does not panic")?;
    println!("{}", answer.lines().next().unwrap_or_default());
    println!("{}", answer.lines().last().unwrap_or_default());
    Ok(())
}
