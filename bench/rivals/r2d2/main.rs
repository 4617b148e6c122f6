//! r2d2: acquire, hold, release.
//!
//! Settings, and why:
//!   max_size = min_idle = C         all open before the first pass, none closed, none added
//!   test_on_check_out = false       no ping on borrow
//!   idle_timeout, max_lifetime none no reaping during a run (it would not come to it: 10 and 30 min)
//!   the rest                        defaults: 30 s time-out, no event handler
//!
//! Four passes with the same threads: warm-up without and with clock, then the two that count. Pass
//! "count" has no clock in its loop unless it holds; pass "time" times every acquire.

mod hist;

use hist::Hist;
use r2d2::{ManageConnection, Pool};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const VERSION: Option<&str> = option_env!("RIVAL_VERSION");
const WARM_UP_S: f64 = 0.3;

struct Mock {
	opened: Arc<AtomicU32>,
}

impl ManageConnection for Mock {
	type Connection = u64;
	type Error = Infallible;

	fn connect(&self) -> Result<u64, Infallible> {
		self.opened.fetch_add(1, Ordering::Relaxed);
		Ok(0)
	}

	fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
		Ok(())
	}

	fn has_broken(&self, _: &mut u64) -> bool {
		false
	}
}

#[derive(Clone, Copy)]
struct Options {
	threads: usize,
	connections: u32,
	hold: Duration,
	seconds: f64,
}

#[derive(Clone, Copy)]
struct Pass {
	seconds: f64,
	timed: bool,
}

/// Alone on its line: every worker reads it in every cycle.
#[repr(align(128))]
struct Stop(AtomicBool);

struct Bench {
	options: Options,
	pool: Pool<Mock>,
	gate: Barrier,
	stop: Stop,
}

/// What one worker brings home from one pass.
struct Share {
	ops: u64,
	started: Instant,
	ended: Instant,
	waits: Hist,
}

impl Bench {
	fn stopped(&self) -> bool {
		self.stop.0.load(Ordering::Relaxed)
	}

	fn hold(&self) {
		if self.options.hold > Duration::ZERO {
			let start = Instant::now();

			while start.elapsed() < self.options.hold {}
		}
	}

	fn count_cycles(&self) -> u64 {
		let mut ops = 0;

		while !self.stopped() {
			let lease = self.pool.get().expect("acquire failed");

			self.hold();
			drop(lease);
			ops += 1;
		}
		ops
	}

	fn time_acquires(&self, waits: &mut Hist) -> u64 {
		while !self.stopped() {
			let start = Instant::now();
			let lease = self.pool.get().expect("acquire failed");

			waits.add(start.elapsed().as_nanos() as u64);
			self.hold();
			drop(lease);
		}
		waits.count
	}

	/// Two gates per pass: all start together; the next pass begins when nobody runs.
	fn one_pass(&self, pass: Pass) -> Share {
		let mut waits = Hist::new();

		self.gate.wait();
		let started = Instant::now();
		let ops = if pass.timed { self.time_acquires(&mut waits) } else { self.count_cycles() };
		let ended = Instant::now();
		self.gate.wait();
		Share { ops, started, ended, waits }
	}

	fn lead_pass(&self, pass: Pass) {
		self.stop.0.store(false, Ordering::Relaxed);
		self.gate.wait();
		thread::sleep(Duration::from_secs_f64(pass.seconds));
		self.stop.0.store(true, Ordering::Relaxed);
		self.gate.wait();
	}

	/// A worker that panicked would leave the others at the gate for ever: end the program instead.
	fn work(&self, passes: &[Pass]) -> Vec<Share> {
		let all = || passes.iter().map(|&pass| self.one_pass(pass)).collect();

		std::panic::catch_unwind(std::panic::AssertUnwindSafe(all))
			.unwrap_or_else(|_| std::process::exit(1))
	}

	/// For each worker, its share of each pass.
	fn run(&self, passes: &[Pass]) -> Vec<Vec<Share>> {
		thread::scope(|scope| {
			let workers: Vec<_> = (0..self.options.threads)
				.map(|_| scope.spawn(|| self.work(passes)))
				.collect();

			for &pass in passes {
				self.lead_pass(pass);
			}
			workers.into_iter().map(|worker| worker.join().unwrap()).collect()
		})
	}
}

/// From the first start to the last end: the cycles that finish after "stop" are in the time too.
fn ops_per_second(workers: &[Vec<Share>], pass: usize) -> f64 {
	let shares = || workers.iter().map(|worker| &worker[pass]);
	let first = shares().map(|share| share.started).min().unwrap();
	let last = shares().map(|share| share.ended).max().unwrap();
	let ops: u64 = shares().map(|share| share.ops).sum();

	ops as f64 / (last - first).as_secs_f64()
}

fn merged_waits(workers: &[Vec<Share>], pass: usize) -> Hist {
	let mut sum = Hist::new();

	for worker in workers {
		sum.merge(&worker[pass].waits);
	}
	sum
}

fn report(options: &Options, ops_per_s: f64, waits: &Hist) {
	println!(
		"{{\"pool\":\"r2d2\",\"version\":\"{}\",\"threads\":{},\"connections\":{},\"hold_us\":{},\
		 \"ops_per_s\":{:.0},\"cycle_ns\":{:.1},\
		 \"wait_ns\":{{\"p50\":{},\"p99\":{},\"p999\":{},\"max\":{}}}}}",
		VERSION.unwrap_or("unknown"),
		options.threads,
		options.connections,
		options.hold.as_micros(),
		ops_per_s,
		1e9 / ops_per_s,
		waits.quantile(500),
		waits.quantile(990),
		waits.quantile(999),
		waits.max_ns
	);
}

fn usage() -> ! {
	eprintln!("usage: r2d2 --threads T --connections C --hold-us H --seconds S");
	std::process::exit(2)
}

fn number(text: &str, least: f64, most: f64) -> f64 {
	match text.parse() {
		Ok(value) if (least..=most).contains(&value) => value,
		_ => usage(),
	}
}

fn parse() -> Options {
	let mut options = Options { threads: 1, connections: 1, hold: Duration::ZERO, seconds: 1.0 };
	let mut args = std::env::args().skip(1);

	while let Some(name) = args.next() {
		let value = args.next().unwrap_or_else(|| usage());

		match name.as_str() {
			"--threads" => options.threads = number(&value, 1.0, 1024.0) as usize,
			"--connections" => options.connections = number(&value, 1.0, 100000.0) as u32,
			"--hold-us" => options.hold = Duration::from_micros(number(&value, 0.0, 1e6) as u64),
			"--seconds" => options.seconds = number(&value, 0.01, 3600.0),
			_ => usage(),
		}
	}
	options
}

fn open_pool(options: &Options, opened: &Arc<AtomicU32>) -> Pool<Mock> {
	Pool::builder()
		.max_size(options.connections)
		.min_idle(Some(options.connections))
		.test_on_check_out(false)
		.idle_timeout(None)
		.max_lifetime(None)
		.build(Mock { opened: Arc::clone(opened) })
		.expect("the pool does not open")
}

fn check_opened(opened: &AtomicU32, options: &Options) {
	assert_eq!(opened.load(Ordering::Relaxed), options.connections, "connections opened");
}

fn main() {
	let options = parse();
	let opened = Arc::new(AtomicU32::new(0));
	let pool = open_pool(&options, &opened);
	let gate = Barrier::new(options.threads + 1);
	let bench = Bench { options, pool, gate, stop: Stop(AtomicBool::new(false)) };
	let passes = [
		Pass { seconds: WARM_UP_S / 2.0, timed: false },
		Pass { seconds: WARM_UP_S / 2.0, timed: true },
		Pass { seconds: options.seconds, timed: false },
		Pass { seconds: options.seconds, timed: true },
	];

	check_opened(&opened, &options);
	let workers = bench.run(&passes);
	check_opened(&opened, &options);
	report(&options, ops_per_second(&workers, 2), &merged_waits(&workers, 3));
}
