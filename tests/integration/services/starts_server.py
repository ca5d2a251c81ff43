from sagemaker_inference import model_server


class Service:
    def initialize(self, context):
        self.name = "entry"

    def handle(self, data, context):
        return [{"from": self.name, "bytes": len(data[0]["body"])}]


model_server.start_model_server(handler_service=Service)
