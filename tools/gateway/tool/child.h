/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - one child process of a command tool, from its start to its end; the thread waits. */
#ifndef KOLK_GATEWAY_TOOL_CHILD_H
#define KOLK_GATEWAY_TOOL_CHILD_H

#include "tools/gateway/tool/process.h"

/* Run it: what it came to is in the process. It is killed when stop_fd is readable. */
void gw_child_run(struct gw_process *process, int stop_fd);

#endif
