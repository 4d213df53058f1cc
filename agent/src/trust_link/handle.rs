//! How other tasks use the one connection.

use super::link_status::LinkStatus;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

/// The trust link as other tasks see it. Cheap to clone; without a link behind it everything asked
/// for is dropped.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    orders: mpsc::UnboundedSender<Order>,
    connected: watch::Receiver<bool>,
    status: watch::Receiver<LinkStatus>,
}

/// The payload of a message that came.
pub type Payload = Bytes;

/// What the broker said to a publish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Published {
    /// It has it.
    Acknowledged,
    /// It does not take it; the reason in its own words.
    Refused(String),
}

/// What a task asks of the link.
#[derive(Debug)]
pub(super) enum Order {
    /// The broker is to be looked up again: `broker.json` has changed, or a root was pinned.
    LookAgain,
    /// There may be newer trust data.
    News,
    Publish {
        topic: String,
        payload: Payload,
        retain: bool,
        done: oneshot::Sender<Published>,
    },
    Subscribe {
        topic: String,
        to: mpsc::Sender<Payload>,
    },
}

/// The end of a handle that the link reads.
pub struct Orders {
    pub(super) received: mpsc::UnboundedReceiver<Order>,
    pub(super) connected: watch::Sender<bool>,
    pub(super) status: watch::Sender<LinkStatus>,
}

impl LinkHandle {
    /// A handle, and what the link is run with.
    pub fn new() -> (Self, Orders) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (connected, seen) = watch::channel(false);
        let (status, shown) = watch::channel(LinkStatus::default());
        let handle = Self {
            orders: sender,
            connected: seen,
            status: shown,
        };
        let orders = Orders {
            received: receiver,
            connected,
            status,
        };
        (handle, orders)
    }

    /// Publishes at QoS 1, now or as soon as there is a connection, and again over the next one until
    /// the broker has acknowledged: callers need not repeat it. A newer payload for the same topic
    /// takes the place of one that still waits. An empty payload with `retain` removes what is
    /// retained.
    ///
    /// The receiver gets what the broker said; it is closed without a word where a newer payload came
    /// in between, where too many topics wait (32), or where there is no link.
    pub fn request_publish(
        &self,
        topic: String,
        payload: impl Into<Payload>,
        retain: bool,
    ) -> oneshot::Receiver<Published> {
        let (done, said) = oneshot::channel();
        let payload = payload.into();
        self.order(Order::Publish {
            topic,
            payload,
            retain,
            done,
        });
        said
    }

    /// The payloads of one topic, retained and later ones, from now on and over every connection, until
    /// the receiver is dropped. A receiver that does not read misses messages: 8 wait for it.
    pub fn subscribe(&self, topic: String) -> mpsc::Receiver<Payload> {
        let (to, payloads) = mpsc::channel(WAITING);
        self.order(Order::Subscribe { topic, to });
        payloads
    }

    /// Whether a broker is connected; changes are seen at once.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// What is known of the link.
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// There may be newer trust data than what is in force: the link asks the broker, at most every 10
    /// seconds.
    pub fn ask_for_news(&self) {
        self.order(Order::News);
    }

    /// Looks up the broker again: after `broker.json` was written, or a first root pinned.
    pub fn look_again(&self) {
        self.order(Order::LookAgain);
    }

    /// Nobody listens where the link is off.
    fn order(&self, order: Order) {
        self.orders.send(order).ok();
    }
}

const WAITING: usize = 8;
