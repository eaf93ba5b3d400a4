/* What a reader of a view or a group through the mount can ask beside its bytes: of which partition, position and time
 * they are. For C and C++; ioctl(2) on a descriptor of a view (T/N@FROM.., T/all, T/.days/DAY/N, ...) or of a group's
 * stream (T/.groups/G/N, .../all), and their +follow forms, open for reading. The last three are for other descriptors,
 * as they say. What does not fit gives ENOTTY.
 *
 * Threads: any. None of these waits for anything but the disk.
 */
#ifndef TOPICFS_IOCTL_H
#define TOPICFS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* A topic's name, and the byte that ends its records: 0 to 255, or -1 in a byte log (record.delimiter none). */
struct topicfs_topic {
    char name[252]; /* ends with NUL */
    __s32 delimiter;
};

#define TOPICFS_CHUNKS_MAX 256
/* Of an unfinished record, which has none yet, and of what retention has taken since it was read. */
#define TOPICFS_NO_TIME (-0x7fffffffffffffffLL - 1)

/* Bytes that lie together: of one partition and one time. Times are Unix milliseconds. */
struct topicfs_chunk {
    __u64 bytes;
    __u64 position; /* of the first one, in the partition */
    __s64 time;
    __u32 partition;
    __u32 reserved; /* 0 */
};

/* Of the bytes from `offset` of the file on (of a group's stream: those that were read and are not committed): the
 * first `count` chunks, in order and without a gap. A chunk is of whole records, but for the first, where `offset` lies
 * within a record, and one without time. No chunk where the file has no bytes there (yet). EIO where it cannot be known
 * because of damage. */
struct topicfs_describe {
    __u64 offset;   /* in */
    __u32 count;    /* out */
    __u32 reserved; /* 0 */
    struct topicfs_chunk chunks[TOPICFS_CHUNKS_MAX];
};

/* The offset of the record that the byte at `position` of a partition belongs to, or that begins there. ENXIO before
 * the log start, behind the log end, and for a partition that there is not. */
struct topicfs_offset {
    __u64 position;  /* in */
    __u32 partition; /* in */
    __u32 reserved;  /* 0 */
    __u64 offset;    /* out */
};

/* On a group's stream: commits the records that end at or before byte `offset` of it, which has been read. EIO, as from
 * every read then, where it did not come back for max.poll.interval.ms and has lost its partitions: nothing is
 * committed. EINVAL for an offset that was not read. ENOTTY for a view. */
struct topicfs_commit {
    __u64 offset; /* in */
};

#define TOPICFS_POINT_BYTES 64

/* On a group's N.offset: where writing `point` to it would lead, without writing it. `point` ends with NUL. EINVAL
 * where it is no point, or no record can be read there; EBUSY where the partition has a reader. ENOTTY for another
 * file. */
struct topicfs_find {
    char point[TOPICFS_POINT_BYTES]; /* in */
    __u64 offset;                    /* out */
};

/* Whether something would be done, and why not. The ioctl itself succeeds in either case. */
struct topicfs_refusal {
    __s32 error;       /* 0, or the errno that the call would fail with */
    char reason[1020]; /* one line, ends with NUL */
};

#define TOPICFS_SETTINGS_BYTES 4096

/* On a file of a .config directory: whether writing `value` to it would be refused at present, without writing it. */
struct topicfs_check {
    char value[TOPICFS_SETTINGS_BYTES]; /* in, ends with NUL */
    struct topicfs_refusal refused;     /* out */
};

/* On the root directory of a mount: what the next mkdir(2) of `name` in it, by the calling thread and while the
 * directory is open, makes a topic with in place of the default settings: a line of KEY=VALUE for each that differs.
 * The topic is there with them at once. */
struct topicfs_new_topic {
    char name[252];                        /* in, ends with NUL */
    char settings[TOPICFS_SETTINGS_BYTES]; /* in, ends with NUL */
    struct topicfs_refusal refused;        /* out */
};

/* On a partition that is open for writing, or for ioctl(2) only (access mode 3 of open(2), which a full disk does not
 * refuse): moves its log start on to `point`: an offset, a time as in a view's name,
 * `start` or `end` (of the whole records). It never moves back. Durable when this returns. */
struct topicfs_trim {
    char point[TOPICFS_POINT_BYTES]; /* in, ends with NUL */
    __u64 offset;                    /* out: the log start, which may have been further on */
    __u64 position;                  /* out */
    struct topicfs_refusal refused;  /* out */
};

#define TOPICFS_IOC_TOPIC _IOR('t', 0x60, struct topicfs_topic)
#define TOPICFS_IOC_DESCRIBE _IOWR('t', 0x61, struct topicfs_describe)
#define TOPICFS_IOC_OFFSET _IOWR('t', 0x62, struct topicfs_offset)
#define TOPICFS_IOC_COMMIT _IOW('t', 0x63, struct topicfs_commit)
#define TOPICFS_IOC_FIND _IOWR('t', 0x64, struct topicfs_find)
#define TOPICFS_IOC_CHECK _IOWR('t', 0x65, struct topicfs_check)
#define TOPICFS_IOC_NEW_TOPIC _IOWR('t', 0x66, struct topicfs_new_topic)
#define TOPICFS_IOC_TRIM _IOWR('t', 0x67, struct topicfs_trim)

#endif
