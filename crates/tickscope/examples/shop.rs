//! A shop that serves customers on two threads, recorded into a capture.
//!
//! ```console
//! $ cargo run -p tickscope --example shop -- shop.perfetto-trace
//! ```
//!
//! Open the capture at <https://ui.perfetto.dev>.

use std::sync::mpsc;

use tickscope::{AsyncSpan, Category, FlowPoint, Recording, async_span, counter, error_event, instant, span};

static STOCK: Category = Category::new("stock", "What is on the shelves.");

struct Order {
    items: u64,
    placed: FlowPoint,
    delivery: AsyncSpan,
}

fn price(items: u64) -> u64 {
    let span = span!(category: STOCK, "price", items = items);
    let total = (0..items).map(|item| (item * 7919) % 100).sum();
    span.arg("total", total);
    total
}

fn serve(orders: mpsc::Receiver<Order>) {
    for order in orders {
        let mut serving = span!(follows: order.placed, "serve", items = order.items);
        if price(order.items) > 4_000 {
            error_event!("customer cannot pay", items = order.items, recovered = true);
            serving.fail();
        }
        instant!(on: &order.delivery, "packed");
    }
}

fn main() -> Result<(), tickscope::Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "shop.perfetto-trace".to_owned());
    let recording = Recording::to_file(&path)?;
    let (send, orders) = mpsc::channel();
    let server = std::thread::Builder::new().name("server".to_owned()).spawn(move || serve(orders));
    for customer in 0..100 {
        let _customer = span!("customer", number = customer);
        counter!("customers", customer);
        let order = Order { items: customer, placed: FlowPoint::here(), delivery: async_span!("delivery") };
        if send.send(order).is_err() {
            break;
        }
    }
    drop(send);
    if let Ok(server) = server {
        let _ = server.join();
    }
    let summary = recording.stop();
    for (sink, error) in &summary.failed {
        eprintln!("{sink}: {error}");
    }
    print!("{}", summary.overhead);
    println!("{path}: open it at https://ui.perfetto.dev");
    Ok(())
}
