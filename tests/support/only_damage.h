// What verify_store() finds to be damaged, and nothing else that it finds.
#pragma once

#include "store/verify.h"

#include <cstdint>
#include <string>

namespace topicfs::test {

class OnlyDamage final : public VerifyObserver {
public:
    void found(const Finding& finding) override {
        if (finding.kind == Finding::Kind::kDamage) {
            text += finding.path + ": " + finding.what + "\n";
        }
    }
    void progress(std::uint64_t, std::uint64_t, const std::string&) override {}
    std::string text;
};

}  // namespace topicfs::test
