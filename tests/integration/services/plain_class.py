class Helper:
    pass


class Service:
    def initialize(self, context):
        self.scale = 2

    def handle(self, data, context):
        if data[0]["body"] == b"unlisted":
            return "not a list"
        if data[0]["body"] == b"refused":
            context.set_response_status(422, "no", 0)
            return ['{"refused": true}']
        return [str(float(data[0]["body"].decode()) * self.scale)]
