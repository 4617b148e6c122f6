/* SPDX-License-Identifier: Apache-2.0 */
/* first.c - two requests over one pooled connection to any HTTP/1.1 server: first HOST:PORT */
#include <kolk/kolk.h>
#include <stdio.h>
#include <string.h>

static enum kolk_err request(struct kolk_key *key)
{
	static const char head[] = "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	uint64_t deadline_ns = kolk_in_ms(2000);
	char answer[4096] = "";
	size_t size = 0, got;
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, deadline_ns, &lease);

	if (err != KOLK_OK)
		return err; /* kolk_err_class(err) tells what to do: retry, later, refused ... */
	err = kolk_lease_info(&lease, &info);
	if (err == KOLK_OK)
		err = kolk_send_all(&lease, head, strlen(head), deadline_ns);
	while (err == KOLK_OK && strstr(answer, "\r\n\r\n") == NULL) { /* the end of the answer */
		err = kolk_recv(&lease, answer + size, sizeof answer - size, deadline_ns, &got);
		size += err == KOLK_OK ? got : 0;
		if (size == sizeof answer)
			err = KOLK_E_LIMIT;
	}
	if (err == KOLK_OK) {
		answer[strcspn(answer, "\r")] = '\0';
		printf("%s, %s connection\n", answer, info.reused ? "reused" : "new");
		return kolk_release(&lease); /* idle again, if nothing is unread */
	}
	kolk_discard(&lease); /* in doubt: closed */
	return err;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool_options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options key_options = KOLK_INIT(kolk_key_options);
	struct kolk_engine *engine = NULL;
	struct kolk_pool *pool;
	struct kolk_key *key;
	enum kolk_err err = kolk_engine_create(&options, &engine);

	pool_options.name = "web";
	pool_options.address = argc > 1 ? argv[1] : "127.0.0.1:8000";
	key_options.tenant = "user1"; /* by default, tenants share no connection */
	if (err == KOLK_OK)
		err = kolk_pool_add(engine, &pool_options, &pool);
	if (err == KOLK_OK)
		err = kolk_key_open(pool, &key_options, &key); /* once per user */
	for (int i = 0; i < 2 && err == KOLK_OK; i++)
		err = request(key);
	if (err != KOLK_OK)
		fprintf(stderr, "%s\n", kolk_err_text(err));
	return kolk_engine_destroy(engine) != KOLK_OK || err != KOLK_OK;
}
