/* A mark as programs make it with NVIDIA's own header. */
#include <nvtx3/nvToolsExt.h>

int main(void) {
    nvtxEventAttributes_t mark = { 0 };
    mark.version = NVTX_VERSION;
    mark.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    mark.colorType = NVTX_COLOR_ARGB;
    mark.color = 0xffd03030;
    mark.payloadType = NVTX_PAYLOAD_TYPE_DOUBLE;
    mark.payload.dValue = 0.004;
    mark.messageType = NVTX_MESSAGE_TYPE_ASCII;
    mark.message.ascii = "tick: 0.004 ms, ended 1.0 ms ago";
    nvtxDomainMarkEx(nvtxDomainCreateA("tickscope"), &mark);
    return 0;
}
