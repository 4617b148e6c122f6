/* SPDX-License-Identifier: Apache-2.0 */
/* linux.h - the functions that fill the table of kolk_sys_linux(), by the file they are in. */
#ifndef KOLK_LINUX_H
#define KOLK_LINUX_H

#include <kolk/sys/sys.h>

/* ring.c */
enum kolk_err kolk__linux_ring_open(void *context, uint32_t backend, struct kolk_ring **ring,
				    const char **name, const char **why);
void kolk__linux_ring_close(struct kolk_ring *ring);
void kolk__linux_ring_submit(struct kolk_ring *ring, struct kolk_op *op);
void kolk__linux_ring_cancel(struct kolk_ring *ring, struct kolk_op *op);
int kolk__linux_ring_step(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns);
void kolk__linux_ring_wake(struct kolk_ring *ring);
void kolk__linux_ring_flush(struct kolk_ring *ring);
int kolk__linux_ring_fd(struct kolk_ring *ring);
bool kolk__linux_ring_pending(struct kolk_ring *ring);

/* sock_linux.c */
int kolk__linux_sock_open(void *context, uint32_t family, const struct kolk_sock_options *options);
int kolk__linux_sock_info(void *context, int fd, uint32_t *rtt_us, uint32_t *resent);
void kolk__linux_sock_acknowledge(void *context, int fd);
int64_t kolk__linux_sock_send(void *context, int fd, const void *data, size_t size);
int64_t kolk__linux_sock_recv(void *context, int fd, void *data, size_t size);
int64_t kolk__linux_sock_peek(void *context, int fd);
int kolk__linux_sock_wait(void *context, int fd, uint32_t events, uint64_t deadline_ns);
void kolk__linux_sock_shutdown(void *context, int fd);
void kolk__linux_sock_close(void *context, int fd);
void kolk__linux_sock_unlisten(void *context, int fd);
void kolk__linux_sock_end(void *context, int fd);
void kolk__linux_sock_reset(void *context, int fd);

/* listen_linux.c */
int kolk__linux_sock_listen(void *context, const struct kolk_sock_listen *options);
void kolk__linux_sock_unlink(void *context, const struct kolk_address *address,
			     const uint64_t id[2]);
int kolk__linux_sock_share(void *context, int fd, uint32_t count);
int kolk__linux_sock_name(void *context, int fd, bool peer, struct kolk_address *name);
int kolk__linux_sock_credentials(void *context, int fd, uint32_t ids[3]);
int64_t kolk__linux_sock_unsent(void *context, int fd);

/* child_linux.c */
int kolk__linux_child_spawn(void *context, const struct kolk_child_spec *spec,
			    struct kolk_child *child);
void kolk__linux_child_kill(void *context, const struct kolk_child *child, int signal, bool whole);
int kolk__linux_child_reap(void *context, struct kolk_child *child, bool wait);
void kolk__linux_child_input_end(void *context, const struct kolk_child *child);
int64_t kolk__linux_child_read(void *context, const struct kolk_child *child, void *data,
			       size_t size);

#endif
