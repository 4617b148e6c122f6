import java.util.concurrent.atomic.AtomicInteger;
import org.apache.commons.pool2.BasePooledObjectFactory;
import org.apache.commons.pool2.PooledObject;
import org.apache.commons.pool2.impl.DefaultPooledObject;
import org.apache.commons.pool2.impl.GenericObjectPool;
import org.apache.commons.pool2.impl.GenericObjectPoolConfig;

/**
 * commons-pool2, GenericObjectPool. Settings, and why:
 *
 *   maxTotal = maxIdle = minIdle = C   all open before the first pass, none closed, none added
 *   jmxEnabled = false                 no registration at start; nothing in the cycle
 *   the rest                           defaults: no test on borrow or return, newest first, not
 *                                      fair, waits for as long as it takes, no evictor thread
 */
final class CommonsPool2 extends Bench<Object> {
	private static final class Factory extends BasePooledObjectFactory<Object> {
		final AtomicInteger opened = new AtomicInteger();

		@Override
		public Object create() {
			opened.incrementAndGet();
			return new Object();
		}

		@Override
		public PooledObject<Object> wrap(Object resource) {
			return new DefaultPooledObject<>(resource);
		}
	}

	private final Factory factory = new Factory();
	private final GenericObjectPool<Object> pool;

	private CommonsPool2(Options options) throws Exception {
		super("commons-pool2", options);

		GenericObjectPoolConfig<Object> config = new GenericObjectPoolConfig<>();

		config.setMaxTotal(options.connections());
		config.setMaxIdle(options.connections());
		config.setMinIdle(options.connections());
		config.setJmxEnabled(false);
		pool = new GenericObjectPool<>(factory, config);
		pool.preparePool();
	}

	@Override
	Object acquire() throws Exception {
		return pool.borrowObject();
	}

	@Override
	void release(Object resource) {
		pool.returnObject(resource);
	}

	@Override
	int opened() {
		return factory.opened.get();
	}

	public static void main(String[] args) throws Exception {
		new CommonsPool2(Options.parse(args)).run();
	}
}
