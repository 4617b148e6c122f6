/**
 * What one run is told: the same four options for every rival, and for some of them a burst: all
 * connections but 2 x burst x threads are leased, each thread acquires so many and releases them.
 */
record Options(int threads, int connections, long holdNs, double seconds, int burst) {
	static Options parse(String[] args) {
		int threads = 1;
		int connections = 1;
		long holdNs = 0;
		double seconds = 1;
		int burst = 0;

		if (args.length % 2 != 0)
			usage();
		for (int i = 0; i < args.length; i += 2) {
			String value = args[i + 1];

			switch (args[i]) {
			case "--threads" -> threads = (int)number(value, 1, 1024);
			case "--connections" -> connections = (int)number(value, 1, 100000);
			case "--hold-us" -> holdNs = (long)number(value, 0, 1e6) * 1000;
			case "--seconds" -> seconds = number(value, 0.01, 3600);
			case "--burst" -> burst = (int)number(value, 1, 1000);
			default -> usage();
			}
		}
		if (2L * burst * threads > connections)
			usage();
		return new Options(threads, connections, holdNs, seconds, burst);
	}

	private static double number(String text, double least, double most) {
		try {
			double value = Double.parseDouble(text);

			if (value >= least && value <= most)
				return value;
		} catch (NumberFormatException notANumber) {
			/* the usage line says what is wanted */
		}
		usage();
		return 0;
	}

	private static void usage() {
		System.err.println("usage: POOL --threads T --connections C --hold-us H --seconds S [--burst B]");
		System.exit(2);
	}
}
