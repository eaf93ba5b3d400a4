// libfuse's low-level interface, in the version that this daemon is written against. Include nothing of libfuse but
// this.
#pragma once

#define FUSE_USE_VERSION 314

#include <fuse3/fuse_lowlevel.h>
