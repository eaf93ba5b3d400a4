// A store whose file system fails, dies or loses power when it is told to, and whose clock is moved by hand.
#pragma once

#include "store/local_store.h"
#include "support/fault_file_system.h"
#include "support/power_cut_file_system.h"
#include "support/temporary_directory.h"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace topicfs::test {

// What holds parts of the store lets go of them in end().
class FaultyStore {
public:
    virtual ~FaultyStore() = default;

    Result<void> open(const std::optional<Fault>& fault = {}) {
        TOPICFS_TRY_ASSIGN(auto fs, open_file_system(directory_.string()));
        auto faults = std::make_unique<OwningFaultFileSystem>(std::move(fs));
        faults_ = faults.get();
        if (fault) {
            faults_->set(*fault);
        }
        return open_on(std::move(faults));
    }
    Result<void> open_for_power_cut() {
        auto fs = std::make_unique<PowerCutFileSystem>(directory_);
        power_ = fs.get();
        return open_on(std::move(fs));
    }
    PowerCutFileSystem& power() { return *power_; }
    FaultFileSystem& faults() { return *faults_; }

    // What is opened next is what the disk has then.
    void cut_power(Random& random) {
        power_->freeze();
        directory_ = root_ / ("after cut " + std::to_string(++cuts_));
        std::filesystem::create_directory(directory_);
        power_->materialize(directory_, random);
        end();
    }
    // No call of the process does anything any more.
    void die() {
        if (store_) {
            faults_->set({"", "", 1, true, EIO});
            end();
        }
    }
    virtual void end() { store_.reset(); }

protected:
    TemporaryDirectory root_;
    std::filesystem::path directory_ = root_.path();
    ManualClock clock_{TimestampMs{1'000'000}};
    std::unique_ptr<LocalStore> store_;

private:
    Result<void> open_on(std::unique_ptr<FileSystem> fs) {
        StoreEnvironment environment;
        environment.fs = std::move(fs);
        environment.clock = &clock_;
        environment.boot_id = "boot " + std::to_string(cuts_);
        environment.directory = "store";
        StoreOptions options;
        options.maintenance = false;
        TOPICFS_TRY_ASSIGN(store_, LocalStore::open(std::move(environment), options));
        return {};
    }

    int cuts_ = 0;
    PowerCutFileSystem* power_ = nullptr;
    FaultFileSystem* faults_ = nullptr;
};

}  // namespace topicfs::test
