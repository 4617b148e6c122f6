/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - drive a loop as the event loop of a host program does: by poll(2) on kolk_loop_fd and
 * by kolk_loop_next_timer alone. There is no tick: a loop that has work and does not say so
 * stands still, and the test that waits for it fails.
 */
#ifndef KOLK_KIT_HOST_H
#define KOLK_KIT_HOST_H

#include <kolk/kolk.h>

/* Wait until the loop's descriptor is readable or its next timer is due, at most max_ms; step the
 * loop then, and only then. Return false when neither happened. Call it on the loop's thread. */
bool kit_host_step(struct kolk_loop *loop, int max_ms);

/* For programs that link with HOST_WRAP (tests/CMakeLists.txt). While it is true, the loops of each
 * engine that is created run on threads of this kit, with such steps. */
extern bool kit_hosted;
/* And each engine that leaves the back end open has this one. */
extern enum kolk_backend kit_backend;

#endif
