//! The throttle by itself, against a simulated server, and its gate with tasks that wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;
use crate::retry::LastTry;
use crate::{ErrorKind, RetryPolicy};

fn enter_all(throttle: &mut Throttle) -> Vec<Place> {
    std::iter::from_fn(|| throttle.enter()).collect()
}

#[test]
fn a_refusal_halves_the_places_once_for_all_that_were_under_way() {
    let mut throttle = Throttle::new(16);
    let places = enter_all(&mut throttle);
    assert_eq!(places.len(), 16);
    throttle.leave(places[0], Outcome::Throttled);
    throttle.leave(places[1], Outcome::Throttled);
    assert_eq!(throttle.limit, 8);
    for place in &places[2..] {
        throttle.leave(*place, Outcome::Other);
    }
    assert_eq!(enter_all(&mut throttle).len(), 8);
}

#[test]
fn one_place_always_stays() {
    let mut throttle = Throttle::new(3);
    for _ in 0..5 {
        let place = throttle.enter().unwrap();
        throttle.leave(place, Outcome::Throttled);
    }
    assert_eq!((throttle.limit, throttle.in_flight), (1, 0));
}

#[test]
fn places_come_back_quickly_to_what_was_good_and_slowly_beyond() {
    let mut throttle = Throttle::new(64);
    let places: Vec<_> = (0..9).map(|_| throttle.enter().unwrap()).collect();
    throttle.leave(places[0], Outcome::Throttled);
    assert_eq!((throttle.limit, throttle.good), (4, 8));
    for (place, limit) in places[1..].iter().zip([5, 6, 7, 8, 8]) {
        throttle.leave(*place, Outcome::Taken);
        assert_eq!(throttle.limit, limit);
    }
    let mut taken = 1;
    while throttle.limit == 8 {
        let place = throttle.enter().unwrap();
        throttle.leave(place, Outcome::Taken);
        taken += 1;
    }
    assert_eq!((taken, throttle.limit), (8 * PROBE_ROUNDS, 9));
}

#[test]
fn other_failures_say_nothing() {
    let mut throttle = Throttle::new(4);
    for _ in 0..10 {
        let place = throttle.enter().unwrap();
        throttle.leave(place, Outcome::Other);
    }
    assert_eq!((throttle.limit, throttle.in_flight), (4, 0));
}

/// What became of a simulated load.
#[derive(Debug)]
struct Simulated {
    ms: u64,
    refusals: u32,
    /// Times since the first try of the block that waited longest.
    longest_ms: u64,
}

/// Sends `blocks`, each for `block_ms`, from `threads` to a server that has `tokens`, one for each block under way, and
/// refuses the rest at once. Blocks that are refused come again as the retries say.
fn simulate(blocks: usize, threads: usize, tokens: usize, block_ms: u64) -> Simulated {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Event {
        Done(usize),
        Ready(usize),
    }
    let policy = RetryPolicy::default();
    let mut random = fastrand::Rng::with_seed(7);
    let mut throttle = Throttle::new(BLOCKS_IN_FLIGHT_MAX);
    let mut events = (0..threads)
        .map(|block| Reverse((0, Event::Ready(block))))
        .collect::<BinaryHeap<_>>();
    let mut places = vec![None; blocks];
    let mut tries = vec![(0_u32, 0_u64); blocks];
    let mut line = std::collections::VecDeque::new();
    let (mut next, mut at_server) = (threads, 0);
    let mut simulated = Simulated {
        ms: 0,
        refusals: 0,
        longest_ms: 0,
    };
    while let Some(Reverse((now, event))) = events.pop() {
        simulated.ms = now;
        match event {
            Event::Ready(block) => line.push_back(block),
            Event::Done(block) => {
                at_server -= 1;
                throttle.leave(places[block].take().unwrap(), Outcome::Taken);
                if next < blocks {
                    events.push(Reverse((now, Event::Ready(next))));
                    next += 1;
                }
            }
        }
        while let Some(block) = line.front().copied() {
            let Some(place) = throttle.enter() else { break };
            line.pop_front();
            let (count, first) = &mut tries[block];
            *count += 1;
            *first = if *count == 1 { now } else { *first };
            simulated.longest_ms = simulated.longest_ms.max(now - *first);
            if at_server < tokens {
                at_server += 1;
                places[block] = Some(place);
                events.push(Reverse((now + block_ms, Event::Done(block))));
                continue;
            }
            simulated.refusals += 1;
            throttle.leave(place, Outcome::Throttled);
            let last = LastTry {
                kind: ErrorKind::Throttled,
                moved: false,
                tries: *count,
                elapsed: Duration::from_millis(now - *first),
                asked: None,
            };
            let wait = policy.wait(last, random.f64()).expect("no call fails");
            let wait = u64::try_from(wait.as_millis()).unwrap();
            events.push(Reverse((now + wait, Event::Ready(block))));
        }
    }
    assert!(places.iter().all(Option::is_none) && tries.iter().all(|(count, _)| *count > 0));
    simulated
}

#[test]
fn a_server_with_fewer_tokens_than_there_are_uploads_is_used_well_and_no_block_fails() {
    for (threads, tokens) in [(16, 1), (16, 3), (16, 4), (16, 8), (64, 10), (4, 2)] {
        let (blocks, block_ms) = (400, 3_000);
        let simulated = simulate(blocks, threads, tokens, block_ms);
        let best_ms = blocks as u64 * block_ms / tokens as u64;
        assert!(
            simulated.ms <= best_ms * 5 / 4,
            "{threads} uploads, {tokens} tokens: {simulated:?}, {best_ms} ms at best"
        );
        // A tenth of the blocks and the first burst.
        assert!(
            simulated.refusals as usize <= blocks / 10 + threads,
            "{simulated:?}"
        );
        assert!(simulated.longest_ms < 120_000, "{simulated:?}");
    }
}

#[test]
fn a_server_with_tokens_for_all_refuses_nobody() {
    let simulated = simulate(100, 10, 10, 1_000);
    assert_eq!((simulated.ms, simulated.refusals), (10_000, 0));
}

proptest! {
    #[test]
    fn places_stay_within_their_bounds(
        max in 1_u32..20,
        steps in prop::collection::vec((0_usize..8, 0_u8..3), 1..300),
    ) {
        let mut throttle = Throttle::new(max);
        let mut places = Vec::new();
        for (choice, outcome) in steps {
            if choice < 4 {
                let free = throttle.free();
                let place = throttle.enter();
                prop_assert_eq!(place.is_some(), free > 0);
                places.extend(place);
            } else if !places.is_empty() {
                let place = places.swap_remove(choice % places.len());
                let outcome = [Outcome::Taken, Outcome::Throttled, Outcome::Other][usize::from(outcome)];
                throttle.leave(place, outcome);
            }
            prop_assert!((1..=max).contains(&throttle.limit) && throttle.good >= 1);
            prop_assert_eq!(throttle.in_flight as usize, places.len());
        }
        for place in places.drain(..) {
            throttle.leave(place, Outcome::Other);
        }
        prop_assert!(throttle.enter().is_some());
    }
}

#[tokio::test]
async fn tasks_wait_for_places_and_a_dropped_one_holds_up_nobody() {
    let gate = Arc::new(Gate::new(2));
    let (first, second) = (gate.enter().await, gate.enter().await);
    let inside = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        tasks.spawn(async move {
            let pass = gate.enter().await;
            assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            pass.leave(Outcome::Taken);
        });
    }
    // One that waits and goes away, also after it was woken.
    for _ in 0..3 {
        let mut impatient = Box::pin(gate.enter());
        tokio::select! {
            biased;
            _ = &mut impatient => panic!("there was no place"),
            () = tokio::task::yield_now() => {}
        }
    }
    second.leave(Outcome::Throttled);
    assert_eq!(gate.lock().limit, 1);
    drop(first);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let throttle = gate.lock();
    assert_eq!(throttle.free(), throttle.limit);
}
