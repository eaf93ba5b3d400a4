#include "base/background.h"

#include <sys/resource.h>
#include <unistd.h>

namespace topicfs {

void become_background_thread() {
    const auto thread = static_cast<id_t>(::gettid());
    (void)::setpriority(PRIO_PROCESS, thread, ::getpriority(PRIO_PROCESS, thread) + kBackgroundNice);
}

}  // namespace topicfs
