//! Remembers the page of every product that was asked for; half of the requests are for one that nobody asked for before.
//! leaky: nothing is ever forgotten.

mod steady;

use std::collections::{HashMap, VecDeque};

/// More are not kept when fixed.
const CAP: usize = 2_000;
const PAGE: usize = 4_000;

#[derive(Default)]
struct Cache {
    pages: HashMap<u32, Vec<u8>>,
    order: VecDeque<u32>,
}

impl Cache {
    fn page(&mut self, product: u32, fixed: bool) -> &[u8] {
        if !self.pages.contains_key(&product) {
            self.order.push_back(product);
            self.pages.insert(product, render_page(product));
            if fixed && self.order.len() > CAP {
                let oldest = self.order.pop_front().expect("more than the cap");
                self.pages.remove(&oldest);
            }
        }
        &self.pages[&product]
    }
}

#[inline(never)]
fn render_page(product: u32) -> Vec<u8> {
    product.to_le_bytes().repeat(PAGE / 4)
}

fn main() {
    let run = steady::Run::from_command_line();
    let mut cache = Cache::default();
    let mut bytes = 0;
    for request in run.requests() {
        let fresh = request % 2 == 0;
        // What is asked for again was new shortly before.
        let product = if fresh {
            request
        } else {
            (request - 1).saturating_sub(request % 64 * 2)
        };
        bytes += cache.page(product, run.fixed).len();
    }
    println!("{bytes} bytes");
}
