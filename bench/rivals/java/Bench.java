import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;

/**
 * The cycle that both Java pools run: acquire, hold, release.
 *
 * Four passes with the same threads: warm-up without and with clock (one second each, so that both
 * loops are compiled), then the two that count. Pass "count" has no clock in its loop unless it
 * holds; pass "time" times every acquire. With --burst each pass is one of bursts, every acquire and
 * release timed. One JVM runs one pool only, so acquire() and release()
 * have one target each and are inlined.
 */
abstract class Bench<R> {
	private static final double WARM_UP_S = 2;

	private record Pass(double seconds, boolean timed) {}

	private final String pool;
	private final Options options;
	private final CyclicBarrier gate;

	/* Read by all workers; written by main only. */
	private Pass pass;
	private volatile boolean stop;

	Bench(String pool, Options options) {
		this.pool = pool;
		this.options = options;
		this.gate = new CyclicBarrier(options.threads() + 1);
	}

	abstract R acquire() throws Exception;

	abstract void release(R resource) throws Exception;

	/** How many resources were ever opened: anything but C is a broken set-up. */
	abstract int opened();

	final void run() throws Exception {
		List<Worker> workers = startWorkers();

		checkOpened();
		if (options.burst() > 0)
			leaseMost();
		runPass(new Pass(WARM_UP_S / 2, false));
		runPass(new Pass(WARM_UP_S / 2, true));
		runPass(new Pass(options.seconds(), false));
		double opsPerS = opsPerSecond(workers);
		runPass(new Pass(options.seconds(), true));
		checkOpened();
		if (options.burst() > 0)
			reportBursts(mergedWaits(workers), mergedReleases(workers));
		else
			report(opsPerS, mergedWaits(workers));
		System.exit(0); /* the workers wait at the gate as daemons; pools may keep threads of their own */
	}

	private List<Worker> startWorkers() {
		List<Worker> workers = new ArrayList<>();

		while (workers.size() < options.threads())
			workers.add(new Worker());
		for (Worker worker : workers) {
			worker.setDaemon(true);
			worker.start();
		}
		return workers;
	}

	/* All, then back what the bursts need: chosen at random, by the same seed each time. */
	private void leaseMost() throws Exception {
		List<R> leased = new ArrayList<>();

		while (leased.size() < options.connections())
			leased.add(acquire());
		Collections.shuffle(leased, new Random(1));
		for (R resource : leased.subList(0, 2 * options.burst() * options.threads()))
			release(resource);
	}

	private void checkOpened() {
		if (opened() != options.connections())
			throw new IllegalStateException("opened " + opened() + " connections");
	}

	/* Two gates per pass: all start together; main sums up while nobody runs. */
	private void runPass(Pass next) throws Exception {
		pass = next;
		stop = false;
		gate.await();
		Thread.sleep((long)(next.seconds() * 1000));
		stop = true;
		gate.await();
	}

	/* From the first start to the last end: the cycles that finish after "stop" are in the time too. */
	private double opsPerSecond(List<Worker> workers) {
		long first = Long.MAX_VALUE;
		long last = Long.MIN_VALUE;
		long ops = 0;

		for (Worker worker : workers) {
			first = Math.min(first, worker.startedNs);
			last = Math.max(last, worker.endedNs);
			ops += worker.ops;
		}
		return ops * 1e9 / (last - first);
	}

	private Hist mergedWaits(List<Worker> workers) {
		Hist sum = new Hist();

		for (Worker worker : workers)
			sum.merge(worker.waits);
		return sum;
	}

	private Hist mergedReleases(List<Worker> workers) {
		Hist sum = new Hist();

		for (Worker worker : workers)
			sum.merge(worker.releases);
		return sum;
	}

	private static String quantiles(Hist hist) {
		return String.format(Locale.ROOT, "{\"p50\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d}",
			hist.quantile(500), hist.quantile(990), hist.quantile(999), hist.maxNs());
	}

	private void reportBursts(Hist acquires, Hist releases) {
		System.out.printf(Locale.ROOT,
			"{\"pool\":\"%s\",\"version\":\"%s\",\"threads\":%d,\"connections\":%d,\"burst\":%d,"
			+ "\"acquire_ns\":%s,\"release_ns\":%s}%n",
			pool, System.getProperty("rival.version", "unknown"), options.threads(),
			options.connections(), options.burst(), quantiles(acquires), quantiles(releases));
	}

	private void report(double opsPerS, Hist waits) {
		System.out.printf(Locale.ROOT,
			"{\"pool\":\"%s\",\"version\":\"%s\",\"threads\":%d,\"connections\":%d,\"hold_us\":%d,"
			+ "\"ops_per_s\":%.0f,\"cycle_ns\":%.1f,"
			+ "\"wait_ns\":{\"p50\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d}}%n",
			pool, System.getProperty("rival.version", "unknown"), options.threads(),
			options.connections(), options.holdNs() / 1000, opsPerS, 1e9 / opsPerS,
			waits.quantile(500), waits.quantile(990), waits.quantile(999), waits.maxNs());
	}

	private static void hold(long holdNs) {
		long start = System.nanoTime();

		while (System.nanoTime() - start < holdNs)
			;
	}

	private final class Worker extends Thread {
		final Hist waits = new Hist();
		final Hist releases = new Hist();
		long ops;
		long startedNs;
		long endedNs;

		@Override
		public void run() {
			try {
				for (;;) {
					gate.await();
					onePass();
					gate.await();
				}
			} catch (Exception problem) {
				/* Nobody would come to the gate again: end the program, not only the thread. */
				problem.printStackTrace();
				Runtime.getRuntime().halt(1);
			}
		}

		private void onePass() throws Exception {
			waits.clear();
			releases.clear();
			startedNs = System.nanoTime();
			ops = options.burst() > 0 ? timeBursts() : pass.timed() ? timeAcquires() : countCycles();
			endedNs = System.nanoTime();
		}

		private long countCycles() throws Exception {
			long holdNs = options.holdNs();
			long cycles = 0;

			while (!stop) {
				R resource = acquire();

				if (holdNs > 0)
					hold(holdNs);
				release(resource);
				cycles++;
			}
			return cycles;
		}

		private long timeAcquires() throws Exception {
			long holdNs = options.holdNs();

			while (!stop) {
				long start = System.nanoTime();
				R resource = acquire();

				waits.add(System.nanoTime() - start);
				if (holdNs > 0)
					hold(holdNs);
				release(resource);
			}
			return waits.count();
		}

		private long timeBursts() throws Exception {
			ArrayList<R> held = new ArrayList<>(options.burst());

			while (!stop) {
				for (int i = 0; i < options.burst(); i++) {
					long start = System.nanoTime();
					R resource = acquire();

					waits.add(System.nanoTime() - start);
					held.add(resource);
				}
				for (R resource : held) {
					long start = System.nanoTime();

					release(resource);
					releases.add(System.nanoTime() - start);
				}
				held.clear();
			}
			return waits.count();
		}
	}
}
