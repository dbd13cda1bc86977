// A service as Rust programs are: requests with strings, containers, options, owned and shared objects. Each request goes through `handle`.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

pub struct Customer {
    pub name: String,
    pub tier: u8,
}

pub struct Item {
    pub id: u32,
    pub sku: String,
    pub price: f64,
}

pub enum Payment {
    Cash,
    Card(String),
    Invoice { number: u64, days: u16 },
}

pub trait Shape {
    fn area(&self) -> f64;
}

pub struct Circle {
    pub radius: f64,
}

impl Shape for Circle {
    fn area(&self) -> f64 {
        self.radius * self.radius * 3.0
    }
}

pub struct Request {
    pub id: u64,
    pub name: String,
    pub items: Vec<Item>,
    pub stock: BTreeMap<String, i32>,
    pub headers: HashMap<String, String>,
    pub history: VecDeque<i32>,
    pub coupon: Option<String>,
    pub payment: Payment,
    pub checked: Result<u32, String>,
    pub customer: Rc<Customer>,
    pub gift: Box<Item>,
    pub shape: Box<dyn Shape>,
    pub pair: (i32, &'static str),
}

impl Request {
    #[inline(never)]
    pub fn handle(&self, attempt: i32) -> i32 {
        let mut total = self.shape.area() as i32 + attempt;
        for item in &self.items {
            total += item.price as i32;
        }
        std::hint::black_box(total) // PROBE: handle
    }
}

fn main() {
    for round in 0u64.. {
        let even = round % 2 == 0;
        let request = Request {
            id: round,
            name: if round % 3 == 0 { "abc".to_string() } else { "a longer name than the first".to_string() },
            items: vec![
                Item { id: 1, sku: "apple".to_string(), price: 1.5 },
                Item { id: 2, sku: "a very long stock keeping unit".to_string(), price: 20.25 },
            ],
            stock: BTreeMap::from([("apple".to_string(), 3), ("pear".to_string(), 5)]),
            headers: HashMap::from([("host".to_string(), "example.org".to_string())]),
            history: VecDeque::from([10, 20, 30]),
            coupon: if even { Some("SAVE10".to_string()) } else { None },
            payment: match round % 3 {
                0 => Payment::Cash,
                1 => Payment::Card("4111".to_string()),
                _ => Payment::Invoice { number: round, days: 30 },
            },
            checked: if even { Ok(7) } else { Err("no stock".to_string()) },
            customer: Rc::new(Customer { name: "Ada Lovelace".to_string(), tier: 2 }),
            gift: Box::new(Item { id: 9, sku: "ribbon".to_string(), price: 0.5 }),
            shape: Box::new(Circle { radius: 2.0 }),
            pair: (5, "five"),
        };
        std::hint::black_box(request.handle((round & 3) as i32));
        std::thread::sleep(Duration::from_millis(2));
    }
}
