// What threads that work ahead of or behind the requests ask of the scheduler.
#pragma once

namespace topicfs {

// How much nicer, as nice(2) counts, they are than those that answer requests.
inline constexpr int kBackgroundNice = 10;

// From now on the calling thread steps back for those that answer requests, which are woken and asleep again in
// microseconds: a thread that computes keeps them waiting for milliseconds otherwise, where all processors are in use.
// Who waits for such a thread must not wait for ever: on a busy machine it may get a tenth of a processor. Linux has
// the priority of threads one by one, against POSIX (setpriority(2)). Nothing happens where that is refused.
void become_background_thread();

}  // namespace topicfs
