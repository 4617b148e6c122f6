import java.io.PrintWriter;
import java.sql.Connection;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Logger;
import javax.sql.DataSource;

/** Hands out connections that do nothing, and counts them. */
final class MockDataSource implements DataSource {
	private final AtomicInteger opened = new AtomicInteger();

	int opened() {
		return opened.get();
	}

	@Override
	public Connection getConnection() {
		opened.incrementAndGet();
		return new MockConnection();
	}

	@Override
	public Connection getConnection(String user, String password) {
		return getConnection();
	}

	@Override
	public PrintWriter getLogWriter() {
		return null;
	}

	@Override
	public void setLogWriter(PrintWriter writer) {}

	@Override
	public void setLoginTimeout(int seconds) {}

	@Override
	public int getLoginTimeout() {
		return 0;
	}

	@Override
	public Logger getParentLogger() {
		return null;
	}

	@Override
	public <T> T unwrap(Class<T> type) {
		return null;
	}

	@Override
	public boolean isWrapperFor(Class<?> type) {
		return false;
	}
}
