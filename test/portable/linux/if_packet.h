// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#error "Other systems have no such header."
