/**
 * Waiting times of one thread: 128 buckets for each power of two.
 *
 * A value below 256 ns has a bucket of its own; above, a bucket is at most 1/128 of its value wide
 * and answers its middle, so an answer is off by 0.4 % at most. The other rivals use the same buckets.
 */
final class Hist {
	private static final int BITS = 7;
	private static final int SUB = 1 << BITS;

	private final long[] buckets = new long[(65 - BITS) * SUB];
	private long count;
	private long maxNs;

	void add(long ns) {
		int shift = ns < 2 * SUB ? 0 : 63 - Long.numberOfLeadingZeros(ns) - BITS;

		buckets[shift * SUB + (int)(ns >>> shift)]++;
		count++;
		if (ns > maxNs)
			maxNs = ns;
	}

	void merge(Hist part) {
		for (int i = 0; i < buckets.length; i++)
			buckets[i] += part.buckets[i];
		count += part.count;
		maxNs = Math.max(maxNs, part.maxNs);
	}

	void clear() {
		java.util.Arrays.fill(buckets, 0);
		count = 0;
		maxNs = 0;
	}

	long count() {
		return count;
	}

	long maxNs() {
		return maxNs;
	}

	/** 500 is the median. */
	long quantile(int perMille) {
		long rank = (count * perMille + 999) / 1000;
		long seen = 0;

		for (int i = 0; i < buckets.length; i++) {
			seen += buckets[i];
			if (seen >= rank && seen > 0)
				return Math.min(middle(i), maxNs);
		}
		return maxNs;
	}

	private static long middle(int i) {
		int shift = i < 2 * SUB ? 0 : i / SUB - 1;
		long low = (long)(i - shift * SUB) << shift;

		return low + ((1L << shift) >> 1);
	}
}
