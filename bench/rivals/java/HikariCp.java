import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;

/**
 * HikariCP. Settings, and why:
 *
 *   maximumPoolSize = minimumIdle = C   all open before the first pass, none closed, none added
 *   dataSource                          a mock: no driver, no network (MockDataSource, MockConnection)
 *   the rest                            defaults: a connection used within the last 500 ms is not
 *                                       tested (and isValid() of the mock costs nothing), no leak
 *                                       detection, no metrics, no JMX, 30 s time-out, lifetime 30 min
 *
 * The constructor with a config gives the final "fast path" pool, which its documentation advises.
 */
final class HikariCp extends Bench<Connection> {
	private static final long FILL_MS = 10000;

	private final MockDataSource source = new MockDataSource();
	private final HikariDataSource pool;

	private HikariCp(Options options) throws Exception {
		super("hikaricp", options);

		HikariConfig config = new HikariConfig();

		config.setDataSource(source);
		config.setMaximumPoolSize(options.connections());
		config.setMinimumIdle(options.connections());
		pool = new HikariDataSource(config);
		awaitFill(options.connections());
	}

	/* The constructor opens one connection; the pool's own thread opens the others. */
	private void awaitFill(int connections) throws Exception {
		for (long waited = 0; pool.getHikariPoolMXBean().getIdleConnections() < connections; waited++) {
			if (waited == FILL_MS)
				throw new IllegalStateException("the pool is not full after 10 s");
			Thread.sleep(1);
		}
	}

	@Override
	Connection acquire() throws Exception {
		return pool.getConnection();
	}

	@Override
	void release(Connection connection) throws Exception {
		connection.close();
	}

	@Override
	int opened() {
		return source.opened();
	}

	public static void main(String[] args) throws Exception {
		new HikariCp(Options.parse(args)).run();
	}
}
