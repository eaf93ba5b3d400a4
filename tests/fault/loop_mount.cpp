#include "fault/loop_mount.h"

#include "io/fd.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace topicfs::test {
namespace {

// Of the kernel's fs/ext4/ext4.h, where it is not exported: _IOR('X', 125, __u32).
constexpr unsigned long kExt4Shutdown = 0x8004587d;
constexpr std::uint32_t kWithoutLogFlush = 2;

std::string errno_text(const char* what) {
    return std::string(what) + ": " + std::strerror(errno);
}

}  // namespace

std::unique_ptr<LoopMount> LoopMount::make(std::uint64_t bytes, unsigned block_bytes, std::string& why) {
    if (::geteuid() != 0) {
        why = "not root";
        return nullptr;
    }
    std::unique_ptr<LoopMount> made(new LoopMount);
    const std::filesystem::path image = made->root_ / "image";
    write_file(image, "");
    std::filesystem::resize_file(image, bytes);
    const std::string command = "timeout 20 mkfs.ext4 -q -F -b " + std::to_string(block_bytes) +
                                " -m 0 -E lazy_itable_init=1 '" + image.string() + "' >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) {
        why = "mkfs.ext4 failed, or is not installed";
        return nullptr;
    }
    why = made->attach(image);
    if (!why.empty()) {
        return nullptr;
    }
    made->path_ = made->root_ / "mounted";
    std::filesystem::create_directory(made->path_);
    why = made->mount();
    return why.empty() ? std::move(made) : nullptr;
}

LoopMount::~LoopMount() {
    unmount();
    detach();
}

std::string LoopMount::attach(const std::filesystem::path& image) {
    const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const Fd backing(::open(image.c_str(), O_RDWR | O_CLOEXEC));
    if (!control || !backing) {
        return errno_text("/dev/loop-control");
    }
    // Others may take the free device before us.
    for (int attempt = 0; attempt < 20; ++attempt) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) {
            return errno_text("LOOP_CTL_GET_FREE");
        }
        const std::string name = "/dev/loop" + std::to_string(number);
        const Fd device(::open(name.c_str(), O_RDWR | O_CLOEXEC));
        if (!device) {
            return errno_text(name.c_str());
        }
        if (::ioctl(device.get(), LOOP_SET_FD, backing.get()) == 0) {
            device_ = name;
            return "";
        }
        if (errno != EBUSY) {
            return errno_text(name.c_str());
        }
    }
    return "no loop device is free for long enough";
}

std::string LoopMount::mount() {
    if (::mount(device_.c_str(), path_.c_str(), "ext4", MS_NODEV | MS_NOSUID, nullptr) != 0) {
        return errno_text("mount");
    }
    is_mounted_ = true;
    return "";
}

void LoopMount::unmount() {
    if (is_mounted_ && (::umount2(path_.c_str(), 0) == 0 || ::umount2(path_.c_str(), MNT_DETACH) == 0)) {
        is_mounted_ = false;
    }
}

void LoopMount::detach() {
    if (!device_.empty()) {
        const Fd device(::open(device_.c_str(), O_RDWR | O_CLOEXEC));
        if (device) {
            ::ioctl(device.get(), LOOP_CLR_FD, 0);
        }
        device_.clear();
    }
}

void LoopMount::shut_down() {
    const Fd directory(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::uint32_t flags = kWithoutLogFlush;
    if (!directory || ::ioctl(directory.get(), kExt4Shutdown, &flags) != 0) {
        throw std::runtime_error(errno_text("EXT4_IOC_SHUTDOWN"));
    }
}

void LoopMount::mount_again() {
    if (::umount2(path_.c_str(), 0) != 0) {
        throw std::runtime_error(errno_text("umount"));
    }
    is_mounted_ = false;
    if (const std::string why = mount(); !why.empty()) {
        throw std::runtime_error(why);
    }
}

}  // namespace topicfs::test
